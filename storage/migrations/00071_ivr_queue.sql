-- +goose Up

-- The queue in which a caller waited, and the moment from which their place counts: earlier than queued where they kept it.
ALTER TABLE call ADD COLUMN queue TEXT NOT NULL DEFAULT '';
ALTER TABLE call ADD COLUMN placed BIGINT;
CREATE INDEX call_queue ON call (queue, started);

-- What callers answered by key to the questions of a flow, one row per question and call.
CREATE TABLE call_answer (
	call_id TEXT   NOT NULL,
	name    TEXT   NOT NULL,
	value   TEXT   NOT NULL,
	at      BIGINT NOT NULL,
	PRIMARY KEY (call_id, name)
);

-- Named parts of a call's recording: what a caller said when a flow asked them to speak.
CREATE TABLE call_clip (
	call_id TEXT   NOT NULL,
	name    TEXT   NOT NULL,
	from_ms BIGINT NOT NULL,
	ms      BIGINT NOT NULL,
	PRIMARY KEY (call_id, name)
);

-- Every version of the flows under which calls were led, with its files, so that a call's path can be read long after.
CREATE TABLE flow_version (
	version TEXT   PRIMARY KEY,
	name    TEXT   NOT NULL,
	files   TEXT   NOT NULL,               -- JSON: name of each file and its text
	loaded  BIGINT NOT NULL,               -- when it came into force first
	by_actor TEXT  NOT NULL
);

-- Callers who hung up and keep their place in the queue: they are rung back when an operator is reserved for them.
CREATE TABLE call_hold (
	callback_id TEXT   PRIMARY KEY,
	call_id     TEXT   NOT NULL,            -- in which they asked for it
	contact_id  TEXT   NOT NULL,
	ticket_id   TEXT   NOT NULL,
	node        TEXT   NOT NULL,            -- program that holds the place
	queue       TEXT   NOT NULL,
	skills      TEXT   NOT NULL,            -- separated by blanks
	priority    BIGINT NOT NULL,
	since       BIGINT NOT NULL,            -- the place
	until       BIGINT NOT NULL,            -- then it is given up, and the call-back is one like any other
	tries       BIGINT NOT NULL,
	state       TEXT   NOT NULL,            -- waiting, reached, returned (they rang themselves), missed, over, failed
	ended       BIGINT
);
CREATE INDEX call_hold_waiting ON call_hold (node) WHERE state = 'waiting';
CREATE INDEX call_hold_contact ON call_hold (contact_id);

-- +goose Down
DROP TABLE call_hold;
DROP TABLE flow_version;
DROP TABLE call_clip;
DROP TABLE call_answer;
DROP INDEX call_queue;
ALTER TABLE call DROP COLUMN placed;
ALTER TABLE call DROP COLUMN queue;
