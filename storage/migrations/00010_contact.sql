-- +goose Up

-- People we speak with, one per number. Columns named sealed hold AES-256-GCM texts; hashes are keyed. The keys are
-- not in the database.
CREATE TABLE contact (
	id           TEXT   PRIMARY KEY,
	phone_hash   TEXT   UNIQUE,           -- NULL once the person is anonymised
	phone_sealed BYTEA,
	name_sealed  BYTEA,
	created      BIGINT NOT NULL,
	changed      BIGINT NOT NULL
);

-- Who asked us to stop, and who asked to be let in again: a ledger. The last entry of a scope holds. It hangs on the
-- hash and not on the person, so that it outlives the person's row.
CREATE TABLE contact_optout (
	phone_hash TEXT    NOT NULL,
	seq        BIGINT  NOT NULL,          -- from 1, in the order of arrival
	scope      TEXT    NOT NULL,          -- "survey", or "all"
	back       BOOLEAN NOT NULL,          -- TRUE: asked to be let in again
	source     TEXT    NOT NULL,
	evidence   TEXT    NOT NULL,          -- id of the text or call in which it was said
	at         BIGINT  NOT NULL,
	PRIMARY KEY (phone_hash, seq)
);

-- Numbers that the centre itself decided to leave alone for a time.
CREATE TABLE contact_shield (
	id         TEXT   PRIMARY KEY,
	phone_hash TEXT   NOT NULL,
	scope      TEXT   NOT NULL,
	reason     TEXT   NOT NULL,
	by_actor   TEXT   NOT NULL,
	at         BIGINT NOT NULL,
	until      BIGINT,                    -- NULL: until lifted
	lifted     BIGINT
);
CREATE INDEX contact_shield_phone ON contact_shield (phone_hash);

-- What people agreed to and took back: a ledger, the last entry of a purpose holds.
CREATE TABLE contact_consent (
	phone_hash TEXT    NOT NULL,
	seq        BIGINT  NOT NULL,
	purpose    TEXT    NOT NULL,
	given      BOOLEAN NOT NULL,
	source     TEXT    NOT NULL,
	evidence   TEXT    NOT NULL,
	at         BIGINT  NOT NULL,
	PRIMARY KEY (phone_hash, seq)
);

-- Fingerprints of the keys that the sealed columns of this database need.
CREATE TABLE contact_key (
	id          TEXT   PRIMARY KEY,
	purpose     TEXT   NOT NULL,          -- "seal" or "lookup"
	fingerprint TEXT   NOT NULL,
	first_used  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE contact_key;
DROP TABLE contact_consent;
DROP TABLE contact_shield;
DROP TABLE contact_optout;
DROP TABLE contact;
