-- +goose Up

-- Every call that came to the hotline: one row, written from the first moment and closed however the call ends.
CREATE TABLE call (
	id               TEXT    PRIMARY KEY,   -- sip.Call.ID
	node             TEXT    NOT NULL,      -- the program that served it
	number_sealed    BYTEA,                 -- NULL: withheld, or no number
	number_hash      TEXT,
	contact_id       TEXT,
	dialled          TEXT    NOT NULL,
	trunk            TEXT    NOT NULL,
	anonymous        BOOLEAN NOT NULL,
	urgent           BOOLEAN NOT NULL,      -- 110 was keyed or spoken
	started          BIGINT  NOT NULL,      -- INVITE
	answered         BIGINT,                -- 200
	queued           BIGINT,                -- first asked for an operator
	connected        BIGINT,                -- first operator
	parted           BIGINT,                -- end of the last talk
	ended            BIGINT,                -- NULL while the call is up
	seen             BIGINT  NOT NULL,      -- last sign of life of the program that serves it
	disposition      TEXT    NOT NULL,      -- "" while the call is up
	ended_by         TEXT    NOT NULL,      -- caller, operator, us, network, timeout, crash
	cause            TEXT    NOT NULL,
	operator         TEXT    NOT NULL,      -- extension of the last operator
	staff_id         TEXT    NOT NULL,
	offers           BIGINT  NOT NULL,      -- operators rung
	wait_ms          BIGINT  NOT NULL,      -- in the queue, in all
	talk_ms          BIGINT  NOT NULL,
	rating           BIGINT  NOT NULL,      -- key pressed, 1 best to 5 worst; 0 none
	recording        TEXT    NOT NULL,      -- path below the recordings folder
	recording_sha256 TEXT    NOT NULL,
	recording_ms     BIGINT  NOT NULL,
	recording_bytes  BIGINT  NOT NULL,
	recorded_from    BIGINT,                -- time of the recording's first sample
	message_from_ms  BIGINT  NOT NULL,      -- where in the recording the message is
	message_ms       BIGINT  NOT NULL,      -- 0: no message
	ticket_id        TEXT    NOT NULL,
	callback_id      TEXT    NOT NULL,
	answers          TEXT    NOT NULL,      -- ids of the knowledge items played, separated by blanks
	flow             TEXT    NOT NULL,
	flow_version     TEXT    NOT NULL,
	steps            TEXT    NOT NULL       -- JSON: the path taken; no keys pressed
);
CREATE INDEX call_started ON call (started);
CREATE INDEX call_contact ON call (contact_id, started);
CREATE INDEX call_ticket ON call (ticket_id);
CREATE INDEX call_open ON call (seen) WHERE ended IS NULL;

-- +goose Down
DROP TABLE call;
