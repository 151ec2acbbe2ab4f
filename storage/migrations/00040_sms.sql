-- +goose Up
-- The outbox: the row is the job. A row in state 'queued' is surely not with a carrier and may be sent; 'sending' is
-- claimed until due (the end of the lease); 'unknown' may or may not be with the carrier and is only asked about;
-- 'accepted' waits for its receipt and is asked about at due.
CREATE TABLE sms (
	id            TEXT    PRIMARY KEY,
	key           TEXT    NOT NULL UNIQUE,
	campaign      TEXT    NOT NULL,
	priority      BIGINT  NOT NULL,
	anytime       BOOLEAN NOT NULL,
	phone_hash    TEXT    NOT NULL,
	phone         BYTEA   NOT NULL,
	body          TEXT    NOT NULL,
	segments      BIGINT  NOT NULL,
	state         TEXT    NOT NULL CHECK (state IN ('queued', 'sending', 'unknown', 'accepted', 'delivered', 'failed', 'expired', 'cancelled')),
	due           BIGINT,
	not_after     BIGINT  NOT NULL,
	attempt       BIGINT  NOT NULL DEFAULT 0,
	carrier       TEXT    NOT NULL DEFAULT '',
	carrier_id    TEXT    NOT NULL DEFAULT '',
	error_class   TEXT    NOT NULL DEFAULT '',
	error_code    TEXT    NOT NULL DEFAULT '',
	reason        TEXT    NOT NULL DEFAULT '',
	created_at    BIGINT  NOT NULL,
	tried_at      BIGINT,
	accepted_at   BIGINT,
	done_at       BIGINT
);
CREATE INDEX sms_queued ON sms (priority DESC, due, id) WHERE state = 'queued';
CREATE INDEX sms_open ON sms (due) WHERE state IN ('sending', 'unknown', 'accepted');
CREATE INDEX sms_campaign_state ON sms (campaign, state);
CREATE INDEX sms_phone ON sms (phone_hash, created_at);
CREATE INDEX sms_carrier_id ON sms (carrier, carrier_id) WHERE carrier_id <> '';

-- Campaigns that somebody has stopped; one without a row runs. The name '*' stands for all of them.
CREATE TABLE sms_campaign (
	name   TEXT   PRIMARY KEY,
	state  TEXT   NOT NULL CHECK (state IN ('running', 'paused', 'killed')),
	reason TEXT   NOT NULL,
	actor  TEXT   NOT NULL,
	at     BIGINT NOT NULL
);

-- Every receipt as it came, repeated ones too. message_id is empty while the receipt is parked: it came before the
-- answer to the submission told us the carrier's id.
CREATE TABLE sms_receipt (
	id          TEXT    PRIMARY KEY,
	carrier     TEXT    NOT NULL,
	carrier_id  TEXT    NOT NULL,
	message_id  TEXT    NOT NULL,
	state       TEXT    NOT NULL,
	part        BIGINT  NOT NULL DEFAULT 0,
	code        TEXT    NOT NULL DEFAULT '',
	at          BIGINT,
	received_at BIGINT  NOT NULL,
	moved       BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX sms_receipt_message ON sms_receipt (message_id, received_at);
CREATE INDEX sms_receipt_parked ON sms_receipt (carrier, carrier_id) WHERE message_id = '';

-- Replies as they came. Rows are inserted, never changed; each row's digest is in the audit chain.
CREATE TABLE sms_inbound (
	id          TEXT   PRIMARY KEY,
	carrier     TEXT   NOT NULL,
	carrier_id  TEXT   NOT NULL,
	dedupe      TEXT   NOT NULL UNIQUE,
	phone_hash  TEXT   NOT NULL,
	phone       BYTEA  NOT NULL,
	recipient   TEXT   NOT NULL,
	body        TEXT   NOT NULL,
	sent_at     BIGINT,
	received_at BIGINT NOT NULL,
	digest      TEXT   NOT NULL
);
CREATE INDEX sms_inbound_phone ON sms_inbound (phone_hash, received_at);
CREATE INDEX sms_inbound_received ON sms_inbound (received_at);

-- What is still to be done with them.
CREATE TABLE sms_inbound_work (
	inbound_id TEXT   PRIMARY KEY REFERENCES sms_inbound (id),
	due        BIGINT NOT NULL,
	attempt    BIGINT NOT NULL DEFAULT 0,
	error      TEXT   NOT NULL DEFAULT '',
	done_at    BIGINT
);
CREATE INDEX sms_inbound_work_due ON sms_inbound_work (due) WHERE done_at IS NULL;

-- +goose Down
DROP TABLE sms_inbound_work;
DROP TABLE sms_inbound;
DROP TABLE sms_receipt;
DROP TABLE sms_campaign;
DROP TABLE sms;
