-- +goose Up
-- One decision about each question that stayed without an answer in a class that reminds: reminded, or why not. A question
-- is decided about once for ever, so that nobody is reminded twice whatever is run again.
CREATE TABLE survey_reminder (
	ask_id      TEXT   PRIMARY KEY REFERENCES survey_ask (id),
	reason      TEXT   NOT NULL, -- 'reminded', or why not: 'not_sampled' is the group that reminders are compared with
	detail      TEXT   NOT NULL,
	sms_id      TEXT   NOT NULL, -- of the reminder; '' of those who get none
	sent_day    TEXT   NOT NULL, -- from which the frequency cap counts; '' where no reminder went out
	config      TEXT   NOT NULL,
	decided_at  BIGINT NOT NULL,
	recalled_at BIGINT,          -- taken back before any carrier had it: they had answered, or wanted peace
	batch       TEXT   NOT NULL  -- decisions of one commit, whose digest is in the audit chain
);
CREATE INDEX survey_reminder_sms ON survey_reminder (sms_id);

-- Questions that can still be answered: the silent are looked for among them.
CREATE INDEX survey_ask_silent ON survey_ask (closes_at) WHERE replied_at IS NULL;

-- +goose Down
DROP INDEX survey_ask_silent;
DROP TABLE survey_reminder;
