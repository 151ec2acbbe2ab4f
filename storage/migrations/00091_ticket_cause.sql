-- +goose Up

-- Why a matter came up, as a person found: a controlled list, one for a ticket. W11 reads 信息错录.
CREATE TABLE ticket_cause (
	code   TEXT    PRIMARY KEY,
	name   TEXT    NOT NULL,
	active BOOLEAN NOT NULL DEFAULT TRUE,
	place  BIGINT  NOT NULL -- order on pages
);
INSERT INTO ticket_cause (code, name, place) VALUES
	('data-error',  '信息错录',           10),
	('procedure',   '执法办案程序瑕疵',   20),
	('substance',   '执法办案处理不当',   30),
	('delay',       '办理拖延超期',       40),
	('attitude',    '服务态度生硬',       50),
	('explain',     '告知解释不到位',     60),
	('process',     '流程繁琐材料过多',   70),
	('system',      '系统或设备故障',     80),
	('facility',    '设施标志不足或不清', 90),
	('patrol',      '巡逻防控不到位',    100),
	('duty',        '职责不清推诿',      110),
	('policy',      '政策规定不完善',    120),
	('dispute',     '民间矛盾纠纷',      130),
	('history',     '历史遗留问题',      140),
	('elsewhere',   '其他部门职责',      150),
	('unfounded',   '诉求无依据或误解',  160),
	('other',       '其他',              900);

ALTER TABLE ticket ADD COLUMN cause TEXT NOT NULL DEFAULT '';
CREATE INDEX ticket_by_cause ON ticket (cause, opened_at) WHERE cause <> '';

-- +goose Down
DROP INDEX ticket_by_cause;
DROP TABLE ticket_cause;
