-- +goose Up
CREATE TABLE audit_event (
	seq        BIGINT PRIMARY KEY,
	stream     TEXT   NOT NULL,
	stream_seq BIGINT NOT NULL,
	at         BIGINT NOT NULL,
	actor      TEXT   NOT NULL,
	type       TEXT   NOT NULL,
	rule       TEXT   NOT NULL,
	payload    TEXT   NOT NULL,
	prev       TEXT   NOT NULL,
	hash       TEXT   NOT NULL,
	UNIQUE (stream, stream_seq)
);
CREATE INDEX audit_event_at ON audit_event (at);

-- One row: the end of the chain. It is locked while an event is appended, and a log cut at its end no longer agrees with it.
CREATE TABLE audit_head (
	id   BIGINT PRIMARY KEY CHECK (id = 1),
	seq  BIGINT NOT NULL,
	at   BIGINT NOT NULL,
	hash TEXT   NOT NULL
);
INSERT INTO audit_head (id, seq, at, hash) VALUES (1, 0, 0, '');

-- +goose Down
DROP TABLE audit_head;
DROP TABLE audit_event;
