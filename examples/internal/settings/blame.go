package settings

import (
	"errors"
	"strings"
)

// Blame says which setting an error of the library is about: that of the field of a
// configuration which its text names, or else the one that is given.
func Blame(setting string, err error, settingOf map[string]string) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	for field, other := range settingOf {
		if strings.Contains(err.Error(), field) {
			setting = other
		}
	}
	return &Error{setting, err.Error()}
}
