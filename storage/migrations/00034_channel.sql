-- +goose Up
-- What a channel is: another body's, the bureau's own, or open to the public; whether we must know who speaks; how soon
-- after it reached us a request must be visible (接入时限); whether its answers are published and need an approval.
ALTER TABLE ticket_channel ADD COLUMN kind TEXT NOT NULL DEFAULT 'external';
ALTER TABLE ticket_channel ADD COLUMN identity TEXT NOT NULL DEFAULT 'optional';
ALTER TABLE ticket_channel ADD COLUMN intake_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE ticket_channel ADD COLUMN public_reply BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE ticket_channel ADD COLUMN by_hand BOOLEAN NOT NULL DEFAULT TRUE;
UPDATE ticket_channel SET kind = 'internal', by_hand = FALSE, intake_ms = 2000 WHERE code IN ('hotline', 'sms');
UPDATE ticket_channel SET kind = 'internal' WHERE code IN ('walkin', 'letter');
UPDATE ticket_channel SET kind = 'public', by_hand = FALSE, intake_ms = 2000 WHERE code IN ('web', 'mini');
UPDATE ticket_channel SET by_hand = TRUE WHERE code = 'web';
UPDATE ticket_channel SET intake_ms = 1800000 WHERE code IN ('12345', '12389', '110', 'mailbox');
UPDATE ticket_channel SET intake_ms = 28800000 WHERE code IN ('people', 'baixing', 'minxin');
UPDATE ticket_channel SET public_reply = TRUE WHERE code = 'people';
INSERT INTO ticket_channel (code, name, place, external, restricted, kind, identity, intake_ms, by_hand)
	VALUES ('open311', '开放接口(Open311)', 140, FALSE, FALSE, 'public', 'optional', 2000, FALSE);

-- What moves requests and results by itself. Secrets are sealed.
CREATE TABLE channel_connector (
	id       TEXT    PRIMARY KEY,
	channel  TEXT    NOT NULL, -- '' for a connector that serves all of them
	kind     TEXT    NOT NULL, -- 'imap', 'folder', 'push', 'webhook', 'results'
	name     TEXT    NOT NULL,
	settings TEXT    NOT NULL, -- JSON
	secret   BYTEA,
	enabled  BOOLEAN NOT NULL,
	every_ms BIGINT  NOT NULL,
	position TEXT    NOT NULL DEFAULT '', -- where it has read to
	next_at  BIGINT  NOT NULL,
	last_try BIGINT,
	last_ok  BIGINT,
	since    BIGINT,           -- of the trouble
	failures BIGINT  NOT NULL DEFAULT 0,
	error    TEXT    NOT NULL DEFAULT '',
	backlog  BIGINT  NOT NULL DEFAULT 0,
	moved    BIGINT  NOT NULL DEFAULT 0, -- in all
	odd      BIGINT  NOT NULL DEFAULT 0, -- of these, what a person must look at
	made_at  BIGINT  NOT NULL
);

-- Where the readers of the log have got to.
CREATE TABLE channel_cursor (
	name TEXT   PRIMARY KEY,
	seq  BIGINT NOT NULL
);

-- What is to be told to others: written in the transaction that moves the cursor, so nothing is lost or told of twice.
CREATE TABLE channel_outbox (
	id        TEXT   PRIMARY KEY, -- also the message id on the wire
	connector TEXT   NOT NULL,
	key       TEXT   NOT NULL,
	ticket_id TEXT   NOT NULL,
	event     TEXT   NOT NULL,
	body      BYTEA  NOT NULL,    -- sealed
	state     TEXT   NOT NULL CHECK (state IN ('due', 'sent', 'dead')),
	attempts  BIGINT NOT NULL DEFAULT 0,
	next_at   BIGINT NOT NULL,
	error     TEXT   NOT NULL DEFAULT '',
	receipt   TEXT   NOT NULL DEFAULT '',
	made_at   BIGINT NOT NULL,
	sent_at   BIGINT,
	UNIQUE (connector, key)
);
CREATE INDEX channel_outbox_due ON channel_outbox (connector, next_at) WHERE state = 'due';

-- Requests of other bodies that are settled, each once; batch '' waits for its file.
CREATE TABLE channel_result (
	ticket_id TEXT   PRIMARY KEY,
	channel   TEXT   NOT NULL,
	batch     TEXT   NOT NULL DEFAULT '',
	made_at   BIGINT NOT NULL
);
CREATE INDEX channel_result_batch ON channel_result (channel, batch);
CREATE TABLE channel_batch (
	id       TEXT   PRIMARY KEY,
	channel  TEXT   NOT NULL,
	items    BIGINT NOT NULL,
	made_by  TEXT   NOT NULL,
	made_at  BIGINT NOT NULL,
	written  BIGINT            -- when the file was safe where it belongs
);

-- How the columns of a channel's files are read.
CREATE TABLE channel_mapping (
	channel  TEXT   PRIMARY KEY,
	mapping  TEXT   NOT NULL, -- JSON: heading → field
	by_actor TEXT   NOT NULL,
	at       BIGINT NOT NULL
);
CREATE TABLE channel_upload (
	id       TEXT   PRIMARY KEY,
	channel  TEXT   NOT NULL,
	name     TEXT   NOT NULL,
	by_actor TEXT   NOT NULL,
	sealed   BYTEA  NOT NULL,
	at       BIGINT NOT NULL
);
CREATE TABLE channel_import (
	id       TEXT    PRIMARY KEY,
	channel  TEXT    NOT NULL,
	name     TEXT    NOT NULL,
	encoding TEXT    NOT NULL,
	by_actor TEXT    NOT NULL,
	dry      BOOLEAN NOT NULL,
	lines    BIGINT  NOT NULL,
	accepted BIGINT  NOT NULL,
	known    BIGINT  NOT NULL,
	changed  BIGINT  NOT NULL,
	refused  BIGINT  NOT NULL,
	error    TEXT    NOT NULL DEFAULT '',
	report   BYTEA,            -- sealed CSV of the lines that were refused
	at       BIGINT  NOT NULL,
	took_ms  BIGINT  NOT NULL DEFAULT 0
);
CREATE INDEX channel_import_at ON channel_import (at);
CREATE TABLE channel_import_line (
	import_id TEXT   NOT NULL,
	line      BIGINT NOT NULL,
	outcome   TEXT   NOT NULL,
	code      TEXT   NOT NULL,
	PRIMARY KEY (import_id, line)
);

-- Photos and other files that came with a request. sum is in the audit chain.
CREATE TABLE channel_attachment (
	id        TEXT   PRIMARY KEY,
	ticket_id TEXT   NOT NULL REFERENCES ticket (id),
	name      BYTEA  NOT NULL, -- sealed
	media     TEXT   NOT NULL,
	size      BIGINT NOT NULL,
	sum       TEXT   NOT NULL, -- SHA-256 of the file
	sealed    BYTEA,           -- NULL once erased
	at        BIGINT NOT NULL
);
CREATE INDEX channel_attachment_ticket ON channel_attachment (ticket_id);

-- What the public can do with a request: the code by which it is asked about, the link by which it is rated once, where
-- it is, and whether the words may be published.
CREATE TABLE channel_receipt (
	ticket_id  TEXT    PRIMARY KEY REFERENCES ticket (id),
	code_hash  TEXT    NOT NULL,
	failures   BIGINT  NOT NULL DEFAULT 0,
	locked     BIGINT,
	digest     TEXT    NOT NULL DEFAULT '',
	service    TEXT    NOT NULL DEFAULT '',
	lat        TEXT    NOT NULL DEFAULT '',
	lng        TEXT    NOT NULL DEFAULT '',
	open       BOOLEAN NOT NULL DEFAULT FALSE,
	rate_hash  TEXT    UNIQUE,
	rate_until BIGINT,
	rate_used  BIGINT,
	made_at    BIGINT  NOT NULL
);
CREATE INDEX channel_receipt_digest ON channel_receipt (digest, made_at);
CREATE INDEX channel_receipt_open ON channel_receipt (made_at) WHERE open = TRUE;

-- The answer that is published, apart from the result inside: written by one person, approved by another.
CREATE TABLE channel_reply (
	ticket_id  TEXT   PRIMARY KEY REFERENCES ticket (id),
	state      TEXT   NOT NULL CHECK (state IN ('draft', 'approved', 'rejected')),
	body       TEXT   NOT NULL,
	sum        TEXT   NOT NULL,
	drafted_by TEXT   NOT NULL,
	drafted_at BIGINT NOT NULL,
	decided_by TEXT   NOT NULL DEFAULT '',
	decided_at BIGINT,
	note       TEXT   NOT NULL DEFAULT ''
);

-- Services of Open311 (GeoReport v2): what the public may report there.
CREATE TABLE open311_service (
	code        TEXT    PRIMARY KEY,
	name        TEXT    NOT NULL,
	description TEXT    NOT NULL,
	kind        TEXT    NOT NULL, -- of the ticket
	type        TEXT    NOT NULL, -- 'realtime', 'batch' (a token first) or 'blackbox' (never listed again)
	keywords    TEXT    NOT NULL,
	grp         TEXT    NOT NULL,
	attributes  TEXT    NOT NULL DEFAULT '[]', -- JSON
	place       BIGINT  NOT NULL,
	enabled     BOOLEAN NOT NULL DEFAULT TRUE
);
INSERT INTO open311_service (code, name, description, kind, type, keywords, grp, attributes, place) VALUES
	('noise',   '噪音扰民',     '生活、商铺、施工噪音影响休息',             'help',       'realtime', '噪音,扰民,施工',   '治安', '[{"code":"when","datatype":"singlevaluelist","required":true,"description":"何时发生","values":[{"key":"day","name":"白天"},{"key":"night","name":"夜间"}]}]', 10),
	('parking', '违停与交通秩序', '占道、违停、信号灯、标志标线',           'help',       'realtime', '违停,拥堵,信号灯', '交通', '[]', 20),
	('hazard',  '安全隐患',     '消防通道、井盖、路面等隐患',               'help',       'realtime', '隐患,消防,井盖',   '治安', '[]', 30),
	('inquiry', '业务咨询',     '户籍、车驾管、出入境等业务咨询',           'inquiry',    'realtime', '户口,驾照,护照',   '服务', '[]', 40),
	('advice',  '意见建议',     '对公安工作的意见建议',                     'suggestion', 'realtime', '建议,意见',        '服务', '[]', 50),
	('crime',   '违法犯罪举报', '举报违法犯罪线索，内容不公开',             'report',     'blackbox', '举报,诈骗,赌博',   '举报', '[]', 60),
	('conduct', '反映民警或单位', '对民警、单位的投诉，内容不公开',         'complaint',  'blackbox', '投诉,态度,不作为', '举报', '[]', 70);

-- +goose Down
DROP TABLE open311_service;
DROP TABLE channel_reply;
DROP TABLE channel_receipt;
DROP TABLE channel_attachment;
DROP TABLE channel_import_line;
DROP TABLE channel_import;
DROP TABLE channel_upload;
DROP TABLE channel_mapping;
DROP TABLE channel_batch;
DROP TABLE channel_result;
DROP TABLE channel_outbox;
DROP TABLE channel_cursor;
DROP TABLE channel_connector;
DELETE FROM ticket_channel WHERE code = 'open311';
ALTER TABLE ticket_channel DROP COLUMN by_hand;
ALTER TABLE ticket_channel DROP COLUMN public_reply;
ALTER TABLE ticket_channel DROP COLUMN intake_ms;
ALTER TABLE ticket_channel DROP COLUMN identity;
ALTER TABLE ticket_channel DROP COLUMN kind;
