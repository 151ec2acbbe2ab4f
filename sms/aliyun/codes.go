package aliyun

import (
	"net/http"
	"strings"

	"lianxin/sms"
)

// codes are the error codes of SendSms that mean something else than their beginning says: isv. is a refusal of this
// text, isp. trouble of the service.
var codes = map[string]sms.Kind{
	// Nobody's text would be taken.
	"isv.OUT_OF_SERVICE":                sms.Misconfigured, // balance
	"isv.AMOUNT_NOT_ENOUGH":             sms.Misconfigured,
	"isv.PRODUCT_UN_SUBSCRIPT":          sms.Misconfigured,
	"isv.PRODUCT_UNSUBSCRIBE":           sms.Misconfigured,
	"isv.ACCOUNT_NOT_EXISTS":            sms.Misconfigured,
	"isv.ACCOUNT_ABNORMAL":              sms.Misconfigured,
	"isv.SMS_SIGNATURE_ILLEGAL":         sms.Misconfigured,
	"isv.SMS_SIGN_ILLEGAL":              sms.Misconfigured,
	"isv.SMS_SIGNATURE_SCENE_ILLEGAL":   sms.Misconfigured,
	"isv.SIGN_STATE_ILLEGAL":            sms.Misconfigured,
	"isv.SIGN_NAME_ILLEGAL":             sms.Misconfigured,
	"isv.SMS_TEMPLATE_ILLEGAL":          sms.Misconfigured,
	"isv.TEMPLATE_STATE_ILLEGAL":        sms.Misconfigured,
	"isv.EXTEND_CODE_ERROR":             sms.Misconfigured,
	"isv.DENY_IP_RANGE":                 sms.Misconfigured,
	"isv.DAY_LIMIT_CONTROL":             sms.Misconfigured, // the account's own limit
	"isv.MONTH_LIMIT_CONTROL":           sms.Misconfigured,
	"isv.DOMESTIC_NUMBER_NOT_SUPPORTED": sms.Misconfigured, // a template for abroad
	"isp.RAM_PERMISSION_DENY":           sms.Misconfigured,

	"isv.BUSINESS_LIMIT_CONTROL": sms.Throttled, // too many to this number, or in all
}

// kind says what an answer means that is not OK. Only what the service says of the text itself, and what a status proves,
// is certain.
func (c *Carrier) kind(status int, code string, isJSON bool) sms.Kind {
	if k, ok := c.cfg.Codes[code]; ok && isJSON {
		return k
	}
	if k, ok := codes[code]; ok && isJSON {
		return k
	}
	switch {
	case status == http.StatusTooManyRequests, isJSON && status < 500 && strings.HasPrefix(code, "Throttling"):
		return sms.Throttled
	case status == http.StatusOK && isJSON && strings.HasPrefix(code, "isv."):
		return sms.Refused
	case status < 400 || status >= 500 || status == http.StatusRequestTimeout || strings.HasPrefix(code, "isp."):
		return sms.NoAnswer
	case isJSON && strings.HasPrefix(code, "isv."):
		return sms.Refused
	}
	return sms.Misconfigured // SignatureDoesNotMatch, InvalidAccessKeyId.NotFound, Forbidden…; a proxy that says no
}
