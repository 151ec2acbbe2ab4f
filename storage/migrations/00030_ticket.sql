-- +goose Up
CREATE TABLE ticket_channel (
	code       TEXT    PRIMARY KEY,
	name       TEXT    NOT NULL,
	place      BIGINT  NOT NULL,               -- order on pages
	external   BOOLEAN NOT NULL DEFAULT FALSE, -- comes from another body, with its own number and deadline
	restricted BOOLEAN NOT NULL DEFAULT FALSE, -- seen by its own seat only
	enabled    BOOLEAN NOT NULL DEFAULT TRUE
);
INSERT INTO ticket_channel (code, name, place, external, restricted) VALUES
	('hotline', '46110110民意热线', 10, FALSE, FALSE),
	('sms',     '短信访评',         20, FALSE, FALSE),
	('12345',   '12345政务热线',    30, TRUE,  FALSE),
	('mailbox', '局长信箱',         40, TRUE,  FALSE),
	('people',  '人民网留言',       50, TRUE,  FALSE),
	('baixing', '百姓热线',         60, TRUE,  FALSE),
	('minxin',  '民心网',           70, TRUE,  FALSE),
	('12389',   '督察12389',        80, TRUE,  TRUE),
	('110',     '110指挥中心',      90, TRUE,  FALSE),
	('walkin',  '来访',            100, FALSE, FALSE),
	('letter',  '来信',            110, FALSE, FALSE),
	('web',     '网上留言',        120, FALSE, FALSE),
	('mini',    '“民意感知”小程序', 130, FALSE, FALSE);

-- The last number given out on each day.
CREATE TABLE ticket_number (
	day  TEXT   PRIMARY KEY,
	last BIGINT NOT NULL
);

-- Rule sets as they stood when a ticket was opened under them (LOOP-11).
CREATE TABLE ticket_rules (
	version   TEXT   PRIMARY KEY,
	effective TEXT,
	author    TEXT   NOT NULL,
	body      TEXT   NOT NULL,
	saved_at  BIGINT NOT NULL
);

CREATE TABLE ticket (
	id            TEXT    PRIMARY KEY,
	number        TEXT    NOT NULL UNIQUE,
	version       BIGINT  NOT NULL, -- counts every change, for optimistic concurrency
	revision      BIGINT  NOT NULL, -- counts the changes made by people
	state         TEXT    NOT NULL,
	channel       TEXT    NOT NULL REFERENCES ticket_channel (code),
	external_id   TEXT,
	kind          TEXT    NOT NULL,
	original_kind TEXT    NOT NULL,
	colour        TEXT    NOT NULL,
	title         TEXT    NOT NULL, -- as shown: numbers masked
	body          TEXT    NOT NULL,
	place         TEXT    NOT NULL,
	title_ref     TEXT,
	body_ref      TEXT,
	place_ref     TEXT,
	contact_id    TEXT    NOT NULL,
	call_id       TEXT    NOT NULL,
	record_id     TEXT    NOT NULL,
	incident_no   TEXT    NOT NULL,
	accused_unit  TEXT    NOT NULL,
	accused_staff TEXT    NOT NULL,
	unit_hint     TEXT    NOT NULL,
	confidential  BOOLEAN NOT NULL,
	anonymous     BOOLEAN NOT NULL,
	proactive     BOOLEAN NOT NULL,
	restricted    BOOLEAN NOT NULL,
	validity      TEXT    NOT NULL,
	round         BIGINT  NOT NULL,
	hold          TEXT    NOT NULL,
	queue         TEXT    NOT NULL,
	host          TEXT    NOT NULL,
	outcome       TEXT    NOT NULL,
	rating        BIGINT  NOT NULL,
	ground        TEXT    NOT NULL,
	reply_ref     TEXT,
	reply_via     TEXT    NOT NULL,
	answered_by   TEXT    NOT NULL,
	decided_by    TEXT    NOT NULL,
	merged_into   TEXT    NOT NULL,
	repeat_of     TEXT    NOT NULL,
	returns       BIGINT  NOT NULL,
	extensions    BIGINT  NOT NULL,
	suspensions   BIGINT  NOT NULL,
	rule_version  TEXT    NOT NULL,
	opened_by     TEXT    NOT NULL,
	received_at   BIGINT  NOT NULL,
	opened_at     BIGINT  NOT NULL,
	accepted_at   BIGINT,
	responded_at  BIGINT,
	replied_at    BIGINT,
	closed_at     BIGINT,
	archived_at   BIGINT,
	changed_at    BIGINT  NOT NULL,
	due_at        BIGINT,
	UNIQUE (channel, external_id)
);
CREATE INDEX ticket_state ON ticket (state, due_at);
CREATE INDEX ticket_opened ON ticket (opened_at);
CREATE INDEX ticket_contact ON ticket (contact_id, opened_at);
CREATE INDEX ticket_merged ON ticket (merged_into);
CREATE INDEX ticket_host ON ticket (host, state);

-- What arrived, exactly as it arrived, sealed; never changed (invariant I2).
CREATE TABLE ticket_raw (
	id          TEXT   PRIMARY KEY,
	ticket_id   TEXT   NOT NULL REFERENCES ticket (id),
	channel     TEXT   NOT NULL,
	external_id TEXT,
	mark        TEXT   NOT NULL, -- keyed hash of the original, to know it again
	sealed      BYTEA NOT NULL,
	sum         TEXT   NOT NULL, -- SHA-256 of sealed, also in the event
	received_at BIGINT NOT NULL,
	UNIQUE (ticket_id, mark)
);

-- Every free text written about a ticket. Events refer to it by id and sum, so that the log holds no personal data.
CREATE TABLE ticket_text (
	id     TEXT   PRIMARY KEY,
	stream TEXT   NOT NULL,
	kind   TEXT   NOT NULL,
	shown  TEXT   NOT NULL, -- numbers masked
	sealed BYTEA,          -- the original, when it differs
	at     BIGINT NOT NULL
);
CREATE INDEX ticket_text_stream ON ticket_text (stream);

CREATE TABLE ticket_leg (
	id           TEXT   PRIMARY KEY,
	ticket_id    TEXT   NOT NULL REFERENCES ticket (id),
	round        BIGINT NOT NULL,
	role         TEXT   NOT NULL,
	unit         TEXT   NOT NULL,
	state        TEXT   NOT NULL,
	state_before TEXT   NOT NULL,
	designated   BOOLEAN NOT NULL,
	handler      TEXT   NOT NULL,
	assigned_by  TEXT   NOT NULL,
	signed_by    TEXT   NOT NULL,
	submitted_by TEXT   NOT NULL,
	reviewed_by  TEXT   NOT NULL,
	result_ref   TEXT,
	basis_ref    TEXT,
	finding      TEXT   NOT NULL,
	resolution   TEXT   NOT NULL,
	contacts     BIGINT NOT NULL,
	assigned_at  BIGINT NOT NULL,
	signed_at    BIGINT,
	contacted_at BIGINT,
	reported_at  BIGINT,
	submitted_at BIGINT,
	reviewed_at  BIGINT,
	ended_at     BIGINT
);
CREATE INDEX ticket_leg_ticket ON ticket_leg (ticket_id);
CREATE INDEX ticket_leg_unit ON ticket_leg (unit, state);

CREATE TABLE ticket_clock (
	id               TEXT    PRIMARY KEY,
	ticket_id        TEXT    NOT NULL REFERENCES ticket (id),
	leg_id           TEXT    NOT NULL,
	round            BIGINT  NOT NULL,
	kind             TEXT    NOT NULL,
	state            TEXT    NOT NULL,
	span             TEXT    NOT NULL,
	base_span        TEXT    NOT NULL,
	extra            BIGINT  NOT NULL,
	total_ms         BIGINT  NOT NULL,
	left_ms          BIGINT  NOT NULL,
	paused_ms        BIGINT  NOT NULL,
	fired            TEXT    NOT NULL,
	guessed          BOOLEAN NOT NULL,
	rule_version     TEXT    NOT NULL,
	calendar_version TEXT    NOT NULL,
	started_at       BIGINT  NOT NULL,
	base_at          BIGINT  NOT NULL,
	due_at           BIGINT  NOT NULL,
	half_at          BIGINT,
	most_at          BIGINT,
	yellow_at        BIGINT,
	red_at           BIGINT,
	paused_at        BIGINT,
	stopped_at       BIGINT,
	next_at          BIGINT
);
CREATE INDEX ticket_clock_ticket ON ticket_clock (ticket_id);
CREATE INDEX ticket_clock_next ON ticket_clock (next_at);

CREATE TABLE ticket_request (
	id           TEXT   PRIMARY KEY,
	ticket_id    TEXT   NOT NULL REFERENCES ticket (id),
	leg_id       TEXT   NOT NULL,
	kind         TEXT   NOT NULL,
	state        TEXT   NOT NULL,
	reason_ref   TEXT,
	clause_ref   TEXT,
	suggest      TEXT   NOT NULL,
	days         BIGINT NOT NULL,
	value        TEXT   NOT NULL,
	until_at     BIGINT,
	asked_by     TEXT   NOT NULL,
	asked_unit   TEXT   NOT NULL,
	asked_at     BIGINT NOT NULL,
	decided_by   TEXT   NOT NULL,
	decided_unit TEXT   NOT NULL,
	decided_at   BIGINT,
	decision_ref TEXT,
	informed_ref TEXT
);
CREATE INDEX ticket_request_ticket ON ticket_request (ticket_id);
CREATE INDEX ticket_request_state ON ticket_request (state, kind);

CREATE TABLE ticket_rating (
	id        TEXT    PRIMARY KEY,
	ticket_id TEXT    NOT NULL REFERENCES ticket (id),
	round     BIGINT  NOT NULL,
	stars     BIGINT  NOT NULL,
	via       TEXT    NOT NULL,
	text_ref  TEXT,
	contested BOOLEAN NOT NULL,
	rated_by  TEXT    NOT NULL,
	rated_at  BIGINT  NOT NULL
);
CREATE INDEX ticket_rating_ticket ON ticket_rating (ticket_id);

CREATE TABLE ticket_callback (
	id            TEXT    PRIMARY KEY,
	dedup         TEXT    UNIQUE,
	version       BIGINT  NOT NULL,
	ticket_id     TEXT    NOT NULL, -- empty for a callback without a ticket
	kind          TEXT    NOT NULL,
	round         BIGINT  NOT NULL,
	state         TEXT    NOT NULL,
	contact_id    TEXT    NOT NULL,
	call_id       TEXT    NOT NULL,
	record_id     TEXT    NOT NULL,
	reason_ref    TEXT,
	exclude_units TEXT    NOT NULL,
	assignee      TEXT    NOT NULL,
	outcome       TEXT    NOT NULL,
	note_ref      TEXT,
	tries         BIGINT  NOT NULL,
	warned        BOOLEAN NOT NULL,
	opened_by     TEXT    NOT NULL,
	opened_at     BIGINT  NOT NULL,
	due_at        BIGINT  NOT NULL,
	finished_by   TEXT    NOT NULL,
	finished_at   BIGINT
);
CREATE INDEX ticket_callback_ticket ON ticket_callback (ticket_id);
CREATE INDEX ticket_callback_state ON ticket_callback (state, due_at);

CREATE TABLE ticket_try (
	id          TEXT   PRIMARY KEY,
	callback_id TEXT   NOT NULL REFERENCES ticket_callback (id),
	ticket_id   TEXT   NOT NULL,
	round       BIGINT NOT NULL,
	outcome     TEXT   NOT NULL,
	part        TEXT   NOT NULL,
	note_ref    TEXT,
	tried_by    TEXT   NOT NULL,
	tried_at    BIGINT NOT NULL
);
CREATE INDEX ticket_try_callback ON ticket_try (callback_id);
CREATE INDEX ticket_try_ticket ON ticket_try (ticket_id);

CREATE TABLE ticket_alert (
	id           TEXT    PRIMARY KEY,
	dedup        TEXT    UNIQUE,
	version      BIGINT  NOT NULL,
	rule         TEXT    NOT NULL,
	level        TEXT    NOT NULL,
	state        TEXT    NOT NULL,
	ticket_id    TEXT    NOT NULL,
	call_id      TEXT    NOT NULL,
	contact_id   TEXT    NOT NULL,
	record_id    TEXT    NOT NULL,
	subject      TEXT    NOT NULL,
	title_ref    TEXT,
	evidence_ref TEXT,
	escalations  BIGINT  NOT NULL,
	disposition  TEXT    NOT NULL,
	note_ref     TEXT,
	raised_by    TEXT    NOT NULL,
	raised_at    BIGINT  NOT NULL,
	ack_due_at   BIGINT,
	acked_by     TEXT    NOT NULL,
	acked_at     BIGINT,
	disposed_by  TEXT    NOT NULL,
	disposed_at  BIGINT
);
CREATE INDEX ticket_alert_state ON ticket_alert (state, ack_due_at);
CREATE INDEX ticket_alert_ticket ON ticket_alert (ticket_id);

-- What the clocks told whom; one row per clock and point.
CREATE TABLE ticket_notice (
	id         TEXT    PRIMARY KEY,
	ticket_id  TEXT    NOT NULL,
	subject    TEXT    NOT NULL, -- the clock, callback or alert
	point      TEXT    NOT NULL,
	kind       TEXT    NOT NULL,
	colour     TEXT    NOT NULL,
	unit       TEXT    NOT NULL, -- empty: the centre
	handler    TEXT    NOT NULL,
	text       TEXT    NOT NULL,
	planned_at BIGINT  NOT NULL,
	raised_at  BIGINT  NOT NULL,
	show_at    BIGINT  NOT NULL,
	read_by    TEXT    NOT NULL,
	read_at    BIGINT,
	UNIQUE (subject, point, planned_at)
);
CREATE INDEX ticket_notice_unit ON ticket_notice (unit, show_at);

-- +goose Down
DROP TABLE ticket_notice;
DROP TABLE ticket_alert;
DROP TABLE ticket_try;
DROP TABLE ticket_callback;
DROP TABLE ticket_rating;
DROP TABLE ticket_request;
DROP TABLE ticket_clock;
DROP TABLE ticket_leg;
DROP TABLE ticket_text;
DROP TABLE ticket_raw;
DROP TABLE ticket;
DROP TABLE ticket_rules;
DROP TABLE ticket_number;
DROP TABLE ticket_channel;
