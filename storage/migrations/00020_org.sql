-- +goose Up
CREATE TABLE org_unit (
	id       TEXT    PRIMARY KEY,        -- a code that people can read: "210502-zhanqian"
	name     TEXT    NOT NULL,
	short    TEXT    NOT NULL,
	kind     TEXT    NOT NULL,
	police   TEXT    NOT NULL,           -- 警种
	parent   TEXT    REFERENCES org_unit (id),
	district TEXT    NOT NULL,           -- GB/T 2260 code, '' for the whole city
	active   BOOLEAN NOT NULL,
	created  BIGINT  NOT NULL,
	changed  BIGINT  NOT NULL
);
CREATE INDEX org_unit_parent ON org_unit (parent);

CREATE TABLE org_staff (
	id         TEXT    PRIMARY KEY,
	login      TEXT    NOT NULL UNIQUE,  -- lower case
	name       TEXT    NOT NULL,
	role       TEXT    NOT NULL,
	unit       TEXT    NOT NULL REFERENCES org_unit (id),
	extension  TEXT    UNIQUE,
	ha1_md5    TEXT    NOT NULL DEFAULT '',
	ha1_sha256 TEXT    NOT NULL DEFAULT '',
	password   TEXT    NOT NULL DEFAULT '',  -- argon2id; '' cannot sign in
	active     BOOLEAN NOT NULL,
	created    BIGINT  NOT NULL,
	changed    BIGINT  NOT NULL,
	signed_in  BIGINT
);
CREATE INDEX org_staff_unit ON org_staff (unit);

-- Failed sign-ins by hash of the login that was typed, known or not: a lock tells nobody whether the login exists.
CREATE TABLE org_attempt (
	login_hash TEXT   PRIMARY KEY,
	failures   BIGINT NOT NULL,
	last       BIGINT NOT NULL,
	locked     BIGINT                    -- until when
);

CREATE TABLE org_token (
	id        TEXT   PRIMARY KEY,
	name      TEXT   NOT NULL,
	hash      TEXT   NOT NULL UNIQUE,    -- SHA-256 of the token
	role      TEXT   NOT NULL,
	unit      TEXT   REFERENCES org_unit (id),
	created   BIGINT NOT NULL,
	expires   BIGINT,
	last_used BIGINT,
	revoked   BIGINT
);

-- +goose Down
DROP TABLE org_token;
DROP TABLE org_attempt;
DROP TABLE org_staff;
DROP TABLE org_unit;
