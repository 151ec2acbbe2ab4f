-- +goose Up
-- Matters of oversight: 督办, 专题, 会商, 指令, 倒查, 线索, 措施, 重点关注 and what belongs to them. A row is the
-- projection of its stream in the audit log; body holds all of it as JSON, the columns what is searched for.
CREATE TABLE oversee_matter (
	id         TEXT   PRIMARY KEY,
	kind       TEXT   NOT NULL,
	number     TEXT   UNIQUE,          -- 督2026-0001
	dedup      TEXT   UNIQUE,          -- what raised it, so that it is raised once
	version    BIGINT NOT NULL,
	state      TEXT   NOT NULL,
	unit       TEXT   NOT NULL,        -- who has to act
	topic      TEXT   NOT NULL,        -- a matter of kind topic that it belongs to
	subject    TEXT   NOT NULL,        -- what it is about besides: a person, an entity's keyed hash
	due_at     BIGINT,
	next_at    BIGINT,                 -- when the sweeper has to look at it again
	opened_at  BIGINT NOT NULL,
	changed_at BIGINT NOT NULL,
	closed_at  BIGINT,
	body       TEXT   NOT NULL
);
CREATE INDEX oversee_matter_kind ON oversee_matter (kind, state, opened_at);
CREATE INDEX oversee_matter_unit ON oversee_matter (unit, kind, state);
CREATE INDEX oversee_matter_topic ON oversee_matter (topic);
CREATE INDEX oversee_matter_subject ON oversee_matter (subject);
CREATE INDEX oversee_matter_next ON oversee_matter (next_at);

-- Which tickets a matter is about.
CREATE TABLE oversee_ticket (
	matter_id TEXT NOT NULL REFERENCES oversee_matter (id),
	ticket_id TEXT NOT NULL REFERENCES ticket (id),
	PRIMARY KEY (matter_id, ticket_id)
);
CREATE INDEX oversee_ticket_ticket ON oversee_ticket (ticket_id);

-- Who was called in: units that sign an order, experts of a consultation, people who need to know.
CREATE TABLE oversee_member (
	matter_id TEXT NOT NULL REFERENCES oversee_matter (id),
	member    TEXT NOT NULL, -- unit/… or staff/…
	PRIMARY KEY (matter_id, member)
);
CREATE INDEX oversee_member_member ON oversee_member (member);

CREATE TABLE oversee_number (
	series TEXT   PRIMARY KEY, -- 督2026
	last   BIGINT NOT NULL
);

-- Thresholds as they stood (LOOP-11); the newest that is in effect counts.
CREATE TABLE oversee_rules (
	version   TEXT   PRIMARY KEY,
	effective BIGINT NOT NULL,
	author    TEXT   NOT NULL,
	body      TEXT   NOT NULL,
	saved_at  BIGINT NOT NULL
);

-- How far the sweeper has read.
CREATE TABLE oversee_cursor (
	name TEXT PRIMARY KEY,
	at   TEXT NOT NULL
);

-- +goose Down
DROP TABLE oversee_cursor;
DROP TABLE oversee_rules;
DROP TABLE oversee_number;
DROP TABLE oversee_member;
DROP TABLE oversee_ticket;
DROP TABLE oversee_matter;
