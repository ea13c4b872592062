-- The app of the second example in docs/adoption-examples.md, on SQLite.

CREATE TABLE users (
  id VARCHAR NOT NULL PRIMARY KEY,
  name VARCHAR NOT NULL,
  email VARCHAR NOT NULL UNIQUE,
  email_verified_at DATETIME NULL,
  password VARCHAR NOT NULL,
  remember_token VARCHAR NULL,
  created_at DATETIME NULL,
  updated_at DATETIME NULL,
  deleted_at DATETIME NULL
);

CREATE TABLE domains (
  id VARCHAR NOT NULL PRIMARY KEY,
  user_id VARCHAR NOT NULL,
  domain VARCHAR NOT NULL UNIQUE,
  verification_token VARCHAR NOT NULL,
  domain_verified_at DATETIME NULL,
  created_at DATETIME NULL,
  updated_at DATETIME NULL,
  FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE aliases (
  id VARCHAR NOT NULL PRIMARY KEY,
  user_id VARCHAR NOT NULL,
  domain_id VARCHAR NULL,
  email VARCHAR NOT NULL UNIQUE,
  is_active TINYINT(1) NOT NULL DEFAULT 1,
  expires_at DATETIME NULL,
  created_at DATETIME NULL,
  updated_at DATETIME NULL,
  deleted_at DATETIME NULL,
  FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
  FOREIGN KEY (domain_id) REFERENCES domains (id) ON DELETE SET NULL
);

CREATE TABLE recipients (
  id VARCHAR NOT NULL PRIMARY KEY,
  user_id VARCHAR NOT NULL,
  email VARCHAR NOT NULL,
  email_verified_at DATETIME NULL,
  created_at DATETIME NULL,
  updated_at DATETIME NULL,
  FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE alias_recipients (
  alias_id VARCHAR NOT NULL,
  recipient_id VARCHAR NOT NULL,
  PRIMARY KEY (alias_id, recipient_id),
  FOREIGN KEY (alias_id) REFERENCES aliases (id) ON DELETE CASCADE,
  FOREIGN KEY (recipient_id) REFERENCES recipients (id) ON DELETE CASCADE
);

CREATE TABLE email_logs (
  id VARCHAR NOT NULL PRIMARY KEY,
  user_id VARCHAR NOT NULL,
  alias_id VARCHAR NULL,
  type VARCHAR NOT NULL,
  status VARCHAR NOT NULL,
  size INTEGER NOT NULL DEFAULT 0,
  created_at DATETIME NULL,
  updated_at DATETIME NULL
);

CREATE TABLE failed_deliveries (
  id VARCHAR NOT NULL PRIMARY KEY,
  user_id VARCHAR NOT NULL,
  alias_id VARCHAR NOT NULL,
  recipient_id VARCHAR NULL,
  sender VARCHAR NOT NULL DEFAULT '',
  destination VARCHAR NOT NULL,
  path VARCHAR NOT NULL,
  status VARCHAR NOT NULL DEFAULT 'pending',
  created_at DATETIME NULL,
  updated_at DATETIME NULL
);

CREATE TABLE personal_access_tokens (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tokenable_type VARCHAR NOT NULL,
  tokenable_id VARCHAR NOT NULL,
  name VARCHAR NOT NULL,
  token VARCHAR NOT NULL UNIQUE,
  abilities TEXT NULL,
  last_used_at DATETIME NULL,
  expires_at DATETIME NULL,
  created_at DATETIME NULL,
  updated_at DATETIME NULL
);

CREATE TABLE webhook_endpoints (
  id VARCHAR NOT NULL PRIMARY KEY,
  user_id VARCHAR NOT NULL,
  url VARCHAR NOT NULL,
  signing_secret VARCHAR NOT NULL,
  is_active TINYINT(1) NOT NULL DEFAULT 1,
  created_at DATETIME NULL,
  updated_at DATETIME NULL,
  FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE webhook_calls (
  id VARCHAR NOT NULL PRIMARY KEY,
  webhook_endpoint_id VARCHAR NOT NULL,
  user_id VARCHAR NOT NULL,
  event VARCHAR NOT NULL,
  payload TEXT NULL,
  status VARCHAR NOT NULL DEFAULT 'pending',
  attempts INTEGER NOT NULL DEFAULT 0,
  created_at DATETIME NULL,
  updated_at DATETIME NULL,
  FOREIGN KEY (webhook_endpoint_id) REFERENCES webhook_endpoints (id) ON DELETE CASCADE
);

CREATE TABLE data_exports (
  id VARCHAR NOT NULL PRIMARY KEY,
  user_id VARCHAR NOT NULL,
  completed_at DATETIME NULL,
  created_at DATETIME NULL,
  updated_at DATETIME NULL,
  FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
