-- +goose Up

-- Every wait of a call in a queue, in order: a call may go through several queues, and come back to one.
CREATE TABLE call_stay (
	call_id  TEXT   NOT NULL,
	n        BIGINT NOT NULL,            -- 1 the first
	queue    TEXT   NOT NULL,
	joined   BIGINT NOT NULL,
	placed   BIGINT NOT NULL,            -- from which the place counted; before joined where the caller kept one
	position BIGINT NOT NULL DEFAULT 0,  -- place in line at the beginning, 1 the next; 0: did not come to stand in line
	left_at  BIGINT,                     -- NULL while they wait
	outcome  TEXT   NOT NULL DEFAULT '', -- connected, nobody, late, full, closed, hungup, interrupted, or the key that led away
	operator TEXT   NOT NULL DEFAULT '', -- who answered
	PRIMARY KEY (call_id, n)
);
CREATE INDEX call_stay_joined ON call_stay (queue, joined);

-- Calls of before are told by what stood in their record.
INSERT INTO call_stay (call_id, n, queue, joined, placed, left_at, outcome, operator)
SELECT id, 1, CASE WHEN queue = '' THEN 'hotline' ELSE queue END, queued, COALESCE(placed, queued), COALESCE(connected, ended),
	CASE WHEN connected IS NOT NULL THEN 'connected' WHEN disposition = 'abandoned' THEN 'hungup' WHEN disposition = 'interrupted' THEN 'interrupted' ELSE 'nobody' END,
	CASE WHEN connected IS NOT NULL THEN operator ELSE '' END
FROM call WHERE queued IS NOT NULL AND ended IS NOT NULL AND direction = 'in';

-- +goose Down
DROP TABLE call_stay;
