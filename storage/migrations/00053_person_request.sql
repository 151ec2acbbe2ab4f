-- +goose Up

-- What people ask about their own data (个人信息保护法 44–50): a copy, a correction, an erasure. Two persons stand behind each.
CREATE TABLE person_request (
	id         TEXT   PRIMARY KEY,
	kind       TEXT   NOT NULL CHECK (kind IN ('copy', 'correct', 'erase')),
	contact_id TEXT   NOT NULL,
	state      TEXT   NOT NULL CHECK (state IN ('asked', 'approved', 'refused', 'done')),
	proof      TEXT   NOT NULL, -- how we know that it is the person
	ground     BYTEA  NOT NULL, -- sealed: what was asked, in words
	change     BYTEA,           -- sealed: what is right, for a correction; gone once it is done
	note       BYTEA,           -- sealed: why the second person decided so
	counts     TEXT   NOT NULL DEFAULT '', -- JSON: what it took out or handed over
	asked_by   TEXT   NOT NULL,
	asked_at   BIGINT NOT NULL,
	due_at     BIGINT NOT NULL,
	decided_by TEXT   NOT NULL DEFAULT '',
	decided_at BIGINT,
	done_by    TEXT   NOT NULL DEFAULT '',
	done_at    BIGINT,
	emptied    BOOLEAN NOT NULL DEFAULT FALSE -- its words were taken out after their period
);
CREATE INDEX person_request_state ON person_request (state, asked_at);
CREATE INDEX person_request_contact ON person_request (contact_id);

-- +goose Down
DROP TABLE person_request;
