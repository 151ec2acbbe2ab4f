-- +goose Up

-- Texts of the mails that answer letters, version by version. The approved one with the highest version is in force. Nothing
-- is ever changed but the decision.
CREATE TABLE channel_mail_text (
	name        TEXT   NOT NULL, -- 'receipt', 'reply', 'refused', 'transferred'
	version     BIGINT NOT NULL,
	subject     TEXT   NOT NULL,
	body        TEXT   NOT NULL,
	state       TEXT   NOT NULL CHECK (state IN ('proposed', 'approved', 'rejected')),
	author      TEXT   NOT NULL,
	proposed_at BIGINT NOT NULL,
	decided_by  TEXT   NOT NULL DEFAULT '',
	note        TEXT   NOT NULL DEFAULT '',
	decided_at  BIGINT,
	PRIMARY KEY (name, version)
);
INSERT INTO channel_mail_text (name, version, subject, body, state, author, proposed_at, decided_by, decided_at) VALUES
	('receipt', 1, '来信收到:{主题}', '您好:

您的来信已收到,登记编号 {编号}。我们会尽快办理,并用邮件答复您。需要补充情况时,直接回复本邮件即可。

紧急情况请拨打110;民意热线 46110110(24小时)。

{署名}', 'approved', 'system', 0, 'system', 0),
	('reply', 1, '答复:{主题}', '您好:

您反映的事项(编号 {编号})答复如下:

{答复}

如有疑问,请直接回复本邮件,或拨打民意热线 46110110。

{署名}', 'approved', 'system', 0, 'system', 0),
	('refused', 1, '关于来信的告知:{主题}', '您好:

您反映的事项(编号 {编号})不属于我们受理的范围,现告知如下:

{答复}

如有异议,可直接回复本邮件说明。

{署名}', 'approved', 'system', 0, 'system', 0),
	('transferred', 1, '您的来信已转110:{主题}', '您好:

您反映的事项(编号 {编号})情况紧急,已转110处置。如有危险,请立即拨打110。

{署名}', 'approved', 'system', 0, 'system', 0);

-- Mails that came in answer to ours, each once: what did not come back to us as a request of its own.
CREATE TABLE channel_mail_in (
	mark      TEXT   PRIMARY KEY, -- keyed hash of the mail
	ticket_id TEXT   NOT NULL,
	what      TEXT   NOT NULL CHECK (what IN ('bounce', 'delay', 'auto', 'supplement')),
	at        BIGINT NOT NULL
);

-- +goose Down
DROP TABLE channel_mail_in;
DROP TABLE channel_mail_text;
