-- +goose Up
-- Editions of reports: daily, weekly, monthly and special ones. A published edition is never changed nor removed (I18; the
-- triggers of migration 111 hold it in the database itself): a correction is the next version of the same edition.
CREATE TABLE report_edition (
	id           TEXT   PRIMARY KEY,
	series       TEXT   NOT NULL, -- 日2026-11-27: kind and period, or the number of a special report
	version      BIGINT NOT NULL, -- 1, 2, … of its series
	kind         TEXT   NOT NULL,
	first_day    TEXT   NOT NULL,
	last_day     TEXT   NOT NULL,
	state        TEXT   NOT NULL CHECK (state IN ('DRAFT', 'REVIEWED', 'PUBLISHED', 'DISCARDED')),
	title        TEXT   NOT NULL,
	corrects     TEXT   NOT NULL, -- id of the version that it takes the place of
	reason       TEXT   NOT NULL, -- of the correction
	scope        TEXT   NOT NULL, -- what a special report is narrowed to
	content      TEXT   NOT NULL, -- as it is printed
	sum          TEXT   NOT NULL, -- SHA-256 of content, also in the event
	metrics      TEXT   NOT NULL, -- version of the settings it was counted under
	cut_off      BIGINT NOT NULL, -- the moment up to which facts are in it
	author       TEXT   NOT NULL,
	drafted_at   BIGINT NOT NULL,
	reviewer     TEXT   NOT NULL,
	reviewed_at  BIGINT,
	publisher    TEXT   NOT NULL,
	published_at BIGINT,
	UNIQUE (series, version)
);
CREATE INDEX report_edition_state ON report_edition (state, kind, first_day);

CREATE TABLE report_receipt (
	edition TEXT   NOT NULL REFERENCES report_edition (id),
	unit    TEXT   NOT NULL,
	staff   TEXT   NOT NULL,
	at      BIGINT NOT NULL,
	PRIMARY KEY (edition, unit)
);

CREATE TABLE report_number (
	year TEXT   PRIMARY KEY,
	last BIGINT NOT NULL
);

-- +goose Down
DROP TABLE report_number;
DROP TABLE report_receipt;
DROP TABLE report_edition;
