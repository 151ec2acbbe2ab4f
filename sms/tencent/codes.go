package tencent

import (
	"strings"

	"lianxin/sms"
)

// codes are the error codes of SendSms, and the first part of them where it decides.
var codes = map[string]sms.Kind{
	"FailedOperation.PhoneNumberInBlacklist": sms.Stopped, // has unsubscribed, or is on the carrier's list

	// This text will never be taken.
	"FailedOperation.ContainSensitiveWord":                      sms.Refused,
	"InvalidParameterValue":                                     sms.Refused, // number, length, variables
	"LimitExceeded.PhoneNumberDailyLimit":                       sms.Refused, // this number has had its texts of the day
	"LimitExceeded.PhoneNumberSameContentDailyLimit":            sms.Refused,
	"LimitExceeded.PhoneNumberCountLimit":                       sms.Refused,
	"UnsupportedOperation.UnsupportedRegion":                    sms.Refused, // no texts to this number's country
	"UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone": sms.Refused,

	// Too fast.
	"RequestLimitExceeded":                       sms.Throttled,
	"LimitExceeded.DeliveryFrequencyLimit":       sms.Throttled,
	"LimitExceeded.PhoneNumberThirtySecondLimit": sms.Throttled,
	"LimitExceeded.PhoneNumberOneHourLimit":      sms.Throttled,

	// Nobody's text would be taken.
	"FailedOperation.InsufficientBalanceInSmsPackage":          sms.Misconfigured,
	"FailedOperation.SignatureIncorrectOrUnapproved":           sms.Misconfigured,
	"FailedOperation.TemplateIncorrectOrUnapproved":            sms.Misconfigured,
	"FailedOperation.TemplateUnapprovedOrNotExist":             sms.Misconfigured,
	"FailedOperation.TemplateParamSetNotMatchApprovedTemplate": sms.Misconfigured,
	"FailedOperation.MarketingSendTimeConstraint":              sms.Misconfigured,
	"FailedOperation.JsonParseFail":                            sms.Misconfigured,
	"FailedOperation.FailResolvePacket":                        sms.Misconfigured,
	"InvalidParameterValue.SdkAppIdNotExist":                   sms.Misconfigured,
	"InvalidParameterValue.InvalidStartTime":                   sms.Misconfigured,
	"LimitExceeded":                                            sms.Misconfigured, // of the application or the account
	"AuthFailure":                                              sms.Misconfigured,
	"UnauthorizedOperation":                                    sms.Misconfigured,
	"UnsupportedOperation":                                     sms.Misconfigured,
	"InvalidParameter":                                         sms.Misconfigured,
	"MissingParameter":                                         sms.Misconfigured,
	"UnknownParameter":                                         sms.Misconfigured,
	"InvalidAction":                                            sms.Misconfigured,
	"InvalidRequest":                                           sms.Misconfigured,
	"ActionOffline":                                            sms.Misconfigured,
	"NoSuchProduct":                                            sms.Misconfigured,
	"NoSuchVersion":                                            sms.Misconfigured,
	"IpInBlacklist":                                            sms.Misconfigured,
	"IpNotInWhitelist":                                         sms.Misconfigured,
	"ResourceInsufficient":                                     sms.Misconfigured,
	"ResourceNotFound":                                         sms.Misconfigured,
	"ResourceUnavailable":                                      sms.Misconfigured,
	"UnsupportedRegion":                                        sms.Misconfigured,
	"UnsupportedProtocol":                                      sms.Misconfigured,
	"RequestSizeLimitExceeded":                                 sms.Misconfigured,
}

// kind says what a code means. InternalError (a time-out among them), a bare FailedOperation and what is not in the book
// prove nothing.
func (c *Carrier) kind(code string) sms.Kind {
	first, _, _ := strings.Cut(code, ".")
	for _, table := range []map[string]sms.Kind{c.cfg.Codes, codes} {
		for _, name := range []string{code, first} {
			if k, ok := table[name]; ok {
				return k
			}
		}
	}
	return sms.NoAnswer
}
