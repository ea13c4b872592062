-- The app of the third example in docs/adoption-examples.md, on SQLite. Times are seconds
-- since 1970, states are numbers, and what is on or off is 'Y' or 'N'.

CREATE TABLE accounts (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  mail VARCHAR(190) NOT NULL UNIQUE,
  full_name VARCHAR(100) NOT NULL DEFAULT '',
  state TINYINT NOT NULL DEFAULT 0,   -- 0 active, 1 suspended, 2 deleted
  created INT NOT NULL,
  deleted INT NULL
);

CREATE TABLE addresses (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  account_no INT NOT NULL,
  address VARCHAR(190) NOT NULL UNIQUE,
  enabled CHAR(1) NOT NULL DEFAULT 'Y',
  valid_until INT NULL,
  created INT NOT NULL
);

CREATE TABLE targets (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  account_no INT NOT NULL,
  mail VARCHAR(190) NOT NULL,
  confirmed INT NULL,
  created INT NOT NULL
);

CREATE TABLE address_targets (
  address_no INT NOT NULL,
  target_no INT NOT NULL,
  PRIMARY KEY (address_no, target_no)
);

CREATE TABLE traffic (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  account_no INT NOT NULL,
  address_no INT NULL,
  way CHAR(1) NOT NULL,   -- f forward, r reply, s send
  outcome TINYINT NOT NULL,   -- 0 delivered, 1 bounced
  size INT NOT NULL DEFAULT 0,
  passed INT NOT NULL
);

CREATE TABLE logins (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  account_no INT NOT NULL,
  hash CHAR(64) NOT NULL,
  begun INT NOT NULL,
  seen INT NOT NULL,
  ends INT NOT NULL
);
