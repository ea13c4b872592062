-- The app of the first example in docs/adoption-examples.md, on MySQL or MariaDB.

CREATE TABLE members (
  member_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  mail VARCHAR(190) NOT NULL,
  nick VARCHAR(60) NOT NULL DEFAULT '',
  password VARCHAR(255) NOT NULL,
  state ENUM('active', 'suspended', 'deleted') NOT NULL DEFAULT 'active',
  traffic_limit BIGINT UNSIGNED DEFAULT NULL,
  joined DATETIME NOT NULL,
  closed DATETIME DEFAULT NULL,
  UNIQUE KEY mail (mail)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE member_domains (
  domain_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  member_id INT UNSIGNED NOT NULL,
  domain VARCHAR(190) NOT NULL,
  state ENUM('pending', 'verified', 'failed') NOT NULL DEFAULT 'pending',
  txt_token VARCHAR(64) NOT NULL DEFAULT '',
  verified DATETIME DEFAULT NULL,
  added DATETIME NOT NULL,
  CONSTRAINT domain_of FOREIGN KEY (member_id) REFERENCES members (member_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE forwardings (
  forwarding_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  member_id INT UNSIGNED NOT NULL,
  domain_id INT UNSIGNED DEFAULT NULL,
  address VARCHAR(190) NOT NULL,
  enabled TINYINT(1) UNSIGNED NOT NULL DEFAULT 1,
  ends DATETIME DEFAULT NULL,
  added DATETIME NOT NULL,
  UNIQUE KEY address (address),
  CONSTRAINT forwarding_of FOREIGN KEY (member_id) REFERENCES members (member_id)
    ON DELETE CASCADE,
  CONSTRAINT forwarding_in FOREIGN KEY (domain_id) REFERENCES member_domains (domain_id)
    ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE targets (
  target_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  member_id INT UNSIGNED NOT NULL,
  mail VARCHAR(190) NOT NULL,
  confirmed DATETIME DEFAULT NULL,
  added DATETIME NOT NULL,
  CONSTRAINT target_of FOREIGN KEY (member_id) REFERENCES members (member_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE forwarding_targets (
  forwarding_id INT UNSIGNED NOT NULL,
  target_id INT UNSIGNED NOT NULL,
  PRIMARY KEY (forwarding_id, target_id),
  CONSTRAINT leads_from FOREIGN KEY (forwarding_id) REFERENCES forwardings (forwarding_id)
    ON DELETE CASCADE,
  CONSTRAINT leads_to FOREIGN KEY (target_id) REFERENCES targets (target_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE maillog (
  log_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  member_id INT UNSIGNED NOT NULL,
  forwarding_id INT UNSIGNED DEFAULT NULL,
  direction ENUM('forward', 'reply', 'send') NOT NULL,
  result ENUM('delivered', 'blocked', 'held', 'spam', 'bounced', 'failed') NOT NULL,
  bytes INT UNSIGNED NOT NULL DEFAULT 0,
  logged DATETIME NOT NULL,
  KEY logged (logged)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE undelivered (
  undelivered_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  member_id INT UNSIGNED NOT NULL,
  forwarding_id INT UNSIGNED NOT NULL,
  target_id INT UNSIGNED DEFAULT NULL,
  sender VARCHAR(190) NOT NULL DEFAULT '',
  recipient VARCHAR(190) NOT NULL,
  file VARCHAR(255) NOT NULL,
  bytes INT UNSIGNED NOT NULL DEFAULT 0,
  state ENUM('pending', 'sent', 'failed') NOT NULL DEFAULT 'pending',
  tries TINYINT UNSIGNED NOT NULL DEFAULT 0,
  error VARCHAR(255) DEFAULT NULL,
  arrived DATETIME NOT NULL,
  CONSTRAINT undelivered_of FOREIGN KEY (member_id) REFERENCES members (member_id)
    ON DELETE CASCADE,
  CONSTRAINT undelivered_to FOREIGN KEY (target_id) REFERENCES targets (target_id)
    ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE logins (
  login_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  member_id INT UNSIGNED NOT NULL,
  token CHAR(64) NOT NULL,
  begun DATETIME NOT NULL,
  last_used DATETIME NOT NULL,
  ends DATETIME NOT NULL,
  CONSTRAINT login_of FOREIGN KEY (member_id) REFERENCES members (member_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE hooks (
  hook_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  member_id INT UNSIGNED NOT NULL,
  url VARCHAR(500) NOT NULL,
  secret VARCHAR(100) NOT NULL,
  enabled TINYINT(1) NOT NULL DEFAULT 1,
  added DATETIME NOT NULL,
  CONSTRAINT hook_of FOREIGN KEY (member_id) REFERENCES members (member_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE hook_events (
  event_no INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  hook_id INT UNSIGNED NOT NULL,
  member_id INT UNSIGNED NOT NULL,
  event VARCHAR(40) NOT NULL,
  kind VARCHAR(40) NOT NULL DEFAULT '',
  payload TEXT,
  state ENUM('pending', 'delivered', 'failed') NOT NULL DEFAULT 'pending',
  tries TINYINT UNSIGNED NOT NULL DEFAULT 0,
  answer SMALLINT UNSIGNED DEFAULT NULL,
  happened DATETIME NOT NULL,
  CONSTRAINT event_of FOREIGN KEY (hook_id) REFERENCES hooks (hook_id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

-- the app's own audit log, which the jobs leave alone
CREATE TABLE journal (
  journal_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  office INT NOT NULL,
  what VARCHAR(200) NOT NULL,
  noted DATETIME NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
