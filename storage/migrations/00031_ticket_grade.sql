-- +goose Up

-- What grading and sorting have made of a ticket. The last ones stand with the ticket; every one is a row of its own.
ALTER TABLE ticket ADD COLUMN emotion BOOLEAN NOT NULL DEFAULT FALSE;   -- an operator confirmed that the caller was beside themselves
ALTER TABLE ticket ADD COLUMN grade_id TEXT NOT NULL DEFAULT '';
ALTER TABLE ticket ADD COLUMN grade_colour TEXT NOT NULL DEFAULT '';    -- what the rules say, which the colour may be above
ALTER TABLE ticket ADD COLUMN grade_event BIGINT NOT NULL DEFAULT 0;    -- E
ALTER TABLE ticket ADD COLUMN grade_person BIGINT NOT NULL DEFAULT 0;   -- P
ALTER TABLE ticket ADD COLUMN grade_factors TEXT NOT NULL DEFAULT '';   -- "police:15 age:25"
ALTER TABLE ticket ADD COLUMN steps_open BIGINT NOT NULL DEFAULT 0;     -- of the response plan
ALTER TABLE ticket ADD COLUMN domain TEXT NOT NULL DEFAULT '';          -- first level of the class a person chose
ALTER TABLE ticket ADD COLUMN class TEXT NOT NULL DEFAULT '';           -- ticket_class
ALTER TABLE ticket ADD COLUMN suggestion_id TEXT NOT NULL DEFAULT '';
ALTER TABLE ticket ADD COLUMN suggested_class TEXT NOT NULL DEFAULT '';
ALTER TABLE ticket ADD COLUMN suggested_unit TEXT NOT NULL DEFAULT '';
ALTER TABLE ticket ADD COLUMN told_half_at BIGINT;                      -- the citizen was told that it is still being handled

ALTER TABLE ticket_notice ADD COLUMN role TEXT NOT NULL DEFAULT '';     -- of the centre, when it is for one role only

-- Every grading, with its factors and where each stands in the text.
CREATE TABLE ticket_grade (
	id          TEXT   PRIMARY KEY,
	ticket_id   TEXT   NOT NULL REFERENCES ticket (id),
	cause       TEXT   NOT NULL, -- opened, amended, accepted, repeat, merged, rating, overdue, contacts, asked
	colour      TEXT   NOT NULL, -- by the rules
	from_colour TEXT   NOT NULL, -- of the ticket, before
	to_colour   TEXT   NOT NULL, -- and after
	event       BIGINT NOT NULL,
	person      BIGINT NOT NULL,
	factors     TEXT   NOT NULL, -- JSON
	plan        TEXT   NOT NULL, -- JSON: the steps of the response, in words
	rule        TEXT   NOT NULL, -- version of the grading rules
	confirm     BOOLEAN NOT NULL,
	care        BOOLEAN NOT NULL,
	texts       TEXT   NOT NULL, -- JSON: the texts that were read
	graded_by   TEXT   NOT NULL,
	graded_at   BIGINT NOT NULL
);
CREATE INDEX ticket_grade_ticket ON ticket_grade (ticket_id);

-- Steps of the response plan that a colour started.
CREATE TABLE ticket_step (
	id        TEXT   PRIMARY KEY,
	ticket_id TEXT   NOT NULL REFERENCES ticket (id),
	colour    TEXT   NOT NULL,
	code      TEXT   NOT NULL,
	words     TEXT   NOT NULL,
	state     TEXT   NOT NULL, -- open, done, dropped
	opened_at BIGINT NOT NULL,
	due_at    BIGINT,
	warned    BOOLEAN NOT NULL,
	done_by   TEXT   NOT NULL,
	done_at   BIGINT,
	note_ref  TEXT
);
CREATE INDEX ticket_step_ticket ON ticket_step (ticket_id);
CREATE INDEX ticket_step_due ON ticket_step (state, due_at);

-- What the classifier suggested, whether it was taken or not.
CREATE TABLE ticket_suggestion (
	id           TEXT   PRIMARY KEY,
	ticket_id    TEXT   NOT NULL REFERENCES ticket (id),
	domains      TEXT   NOT NULL, -- JSON: the best three, with confidence and reason
	class        TEXT   NOT NULL,
	unit         TEXT   NOT NULL,
	version      TEXT   NOT NULL,
	suggested_at BIGINT NOT NULL
);
CREATE INDEX ticket_suggestion_ticket ON ticket_suggestion (ticket_id);

-- Tickets to be graded anew because something happened elsewhere: the citizen came again.
CREATE TABLE ticket_regrade (
	ticket_id TEXT   PRIMARY KEY,
	cause     TEXT   NOT NULL,
	at        BIGINT NOT NULL
);

-- +goose Down
DROP TABLE ticket_regrade;
DROP TABLE ticket_suggestion;
DROP TABLE ticket_step;
DROP TABLE ticket_grade;
