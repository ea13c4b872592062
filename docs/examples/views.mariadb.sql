-- The app of the third example in docs/adoption-examples.md, on MySQL or MariaDB. Times are seconds
-- since 1970, states are numbers, and what is on or off is 'Y' or 'N'.

CREATE TABLE accounts (
  no INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  mail VARCHAR(190) NOT NULL UNIQUE,
  full_name VARCHAR(100) NOT NULL DEFAULT '',
  state TINYINT NOT NULL DEFAULT 0 COMMENT '0 active, 1 suspended, 2 deleted',
  created INT NOT NULL,
  deleted INT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE addresses (
  no INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  account_no INT NOT NULL,
  address VARCHAR(190) NOT NULL UNIQUE,
  enabled CHAR(1) NOT NULL DEFAULT 'Y',
  valid_until INT NULL,
  created INT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE targets (
  no INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  account_no INT NOT NULL,
  mail VARCHAR(190) NOT NULL,
  confirmed INT NULL,
  created INT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE address_targets (
  address_no INT NOT NULL,
  target_no INT NOT NULL,
  PRIMARY KEY (address_no, target_no)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE traffic (
  no INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  account_no INT NOT NULL,
  address_no INT NULL,
  way CHAR(1) NOT NULL COMMENT 'f forward, r reply, s send',
  outcome TINYINT NOT NULL COMMENT '0 delivered, 1 bounced',
  size INT NOT NULL DEFAULT 0,
  passed INT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE logins (
  no INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  account_no INT NOT NULL,
  hash CHAR(64) NOT NULL,
  begun INT NOT NULL,
  seen INT NOT NULL,
  ends INT NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
