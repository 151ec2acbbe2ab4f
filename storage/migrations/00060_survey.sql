-- +goose Up
-- One row per file that was read.
CREATE TABLE survey_import (
	id        TEXT   PRIMARY KEY,
	name      TEXT   NOT NULL,
	actor     TEXT   NOT NULL,
	at        BIGINT NOT NULL,
	lines     BIGINT NOT NULL,
	accepted  BIGINT NOT NULL,
	known     BIGINT NOT NULL,
	corrected BIGINT NOT NULL,
	refused   BIGINT NOT NULL
);

-- The lines of a file that were refused or taken with a reservation; what stood in them is not kept.
CREATE TABLE survey_import_line (
	import_id TEXT   NOT NULL REFERENCES survey_import (id),
	line      BIGINT NOT NULL,
	outcome   TEXT   NOT NULL,
	code      TEXT   NOT NULL,
	PRIMARY KEY (import_id, line)
);

-- Services rendered, as the source systems tell them. person is sealed JSON: name, number, date of birth, remark.
CREATE TABLE survey_record (
	id          TEXT   PRIMARY KEY,
	class       TEXT   NOT NULL,
	source_id   TEXT   NOT NULL,
	digest      TEXT   NOT NULL, -- keyed hash of the whole line, by which a corrected one is told from a repeated one
	revision    BIGINT NOT NULL,
	service_at  BIGINT NOT NULL,
	service_day TEXT   NOT NULL,
	unit        TEXT   NOT NULL, -- unit id; '' when the source named none that we know
	matter      TEXT   NOT NULL,
	mark        TEXT   NOT NULL,
	phone_hash  TEXT   NOT NULL, -- '' when the number cannot be texted
	phone_error TEXT   NOT NULL, -- why not
	person      BYTEA  NOT NULL,
	import_id   TEXT   NOT NULL,
	line        BIGINT NOT NULL,
	imported_at BIGINT NOT NULL,
	decided     BOOLEAN NOT NULL DEFAULT FALSE, -- has a row in survey_decision
	UNIQUE (class, source_id)
);
CREATE INDEX survey_record_open ON survey_record (phone_hash, id) WHERE decided = FALSE;
CREATE INDEX survey_record_day ON survey_record (service_day);
CREATE INDEX survey_record_phone ON survey_record (phone_hash);

-- What a record said before it was corrected: sealed JSON.
CREATE TABLE survey_record_version (
	record_id   TEXT   NOT NULL REFERENCES survey_record (id),
	revision    BIGINT NOT NULL,
	digest      TEXT   NOT NULL,
	body        BYTEA  NOT NULL,
	import_id   TEXT   NOT NULL,
	imported_at BIGINT NOT NULL,
	PRIMARY KEY (record_id, revision)
);

-- One question to one person. At most one is open for a number at any time.
CREATE TABLE survey_ask (
	id           TEXT   PRIMARY KEY,
	day          TEXT   NOT NULL, -- the day of the services that were asked about
	key          TEXT   NOT NULL UNIQUE,
	record_id    TEXT   NOT NULL UNIQUE REFERENCES survey_record (id),
	class        TEXT   NOT NULL,
	unit         TEXT   NOT NULL,
	phone_hash   TEXT   NOT NULL,
	contact_id   TEXT   NOT NULL,
	sms_id       TEXT   NOT NULL,
	state        TEXT   NOT NULL CHECK (state IN ('open', 'closed')),
	asked_at     BIGINT NOT NULL,
	asked_day    TEXT   NOT NULL,
	closes_at    BIGINT NOT NULL, -- end of the reply window; after a rating, of the correction window
	config       TEXT   NOT NULL, -- version of the configuration that asked
	rating       BIGINT,          -- the one that counts: 1 best … 5 worst
	rated_at     BIGINT,          -- when the first valid rating came
	answer_id    TEXT   NOT NULL DEFAULT '', -- the answer that gave the rating
	replied_at   BIGINT,
	opted_out    BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE UNIQUE INDEX survey_ask_open ON survey_ask (phone_hash) WHERE state = 'open';
CREATE INDEX survey_ask_phone ON survey_ask (phone_hash, asked_at);
CREATE INDEX survey_ask_day ON survey_ask (day);
CREATE INDEX survey_ask_sms ON survey_ask (sms_id);

-- One decision per record: asked, or why not.
CREATE TABLE survey_decision (
	record_id  TEXT   PRIMARY KEY REFERENCES survey_record (id),
	day        TEXT   NOT NULL,
	reason     TEXT   NOT NULL,
	detail     TEXT   NOT NULL,
	ask_id     TEXT   NOT NULL,
	config     TEXT   NOT NULL,
	decided_at BIGINT NOT NULL
);
CREATE INDEX survey_decision_day ON survey_decision (day, reason);

-- What a reply meant. The words themselves are in sms_inbound.
CREATE TABLE survey_answer (
	id          TEXT    PRIMARY KEY,
	inbound_id  TEXT    NOT NULL UNIQUE,
	ask_id      TEXT    NOT NULL, -- '' for a stranger
	place       TEXT    NOT NULL, -- 'open', 'correction', 'late' or 'stranger'
	phone_hash  TEXT    NOT NULL,
	contact_id  TEXT    NOT NULL,
	received_at BIGINT  NOT NULL,
	label       TEXT    NOT NULL,
	rating      BIGINT, -- 1 best … 5 worst, as the reader or a person gave it
	danger      BOOLEAN NOT NULL,
	why         TEXT    NOT NULL,
	trace       TEXT    NOT NULL, -- JSON list
	lexicon     TEXT    NOT NULL,
	counted     BOOLEAN NOT NULL, -- its rating is the one that counts
	review      TEXT    NOT NULL CHECK (review IN ('', 'pending', 'settled')),
	outcome     TEXT    NOT NULL DEFAULT '',
	note        TEXT    NOT NULL DEFAULT '',
	settled_by  TEXT    NOT NULL DEFAULT '',
	settled_at  BIGINT,
	ticket_id   TEXT    NOT NULL DEFAULT '',
	callback_id TEXT    NOT NULL DEFAULT '',
	alert_id    TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX survey_answer_ask ON survey_answer (ask_id, received_at);
CREATE INDEX survey_answer_received ON survey_answer (received_at);
CREATE INDEX survey_answer_review ON survey_answer (received_at) WHERE review = 'pending';

-- +goose Down
DROP TABLE survey_answer;
DROP TABLE survey_decision;
DROP TABLE survey_ask;
DROP TABLE survey_record_version;
DROP TABLE survey_record;
DROP TABLE survey_import_line;
DROP TABLE survey_import;
