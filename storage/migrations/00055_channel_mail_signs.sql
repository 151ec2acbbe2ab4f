-- +goose Up

-- The texts that the program came with, in the signs that Chinese is printed with.
UPDATE channel_mail_text SET
	subject = REPLACE(subject, ':', '：'),
	body = REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(body, ',', '，'), ':', '：'), ';', '；'), '(', '（'), ')', '）')
	WHERE author = 'system' AND version = 1;

-- +goose Down
SELECT 1;
