package pipeline

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// entry is one value of a setting that is a map of maps: FIRST/SECOND=VALUE, where a slash, a comma or a percent sign in
// a name is percent-encoded. The configuration may also have it as a mapping, which the loader turns into this.
type entry struct{ first, second, value string }

func parseEntry(text string) (e entry, err error) {
	at := strings.LastIndexByte(text, '=')
	if at < 0 {
		return e, errors.New("has no =")
	}
	first, second, ok := strings.Cut(text[:at], "/")
	if !ok || strings.Contains(second, "/") {
		return e, errors.New("want one slash before the =, and %2F for one in a name")
	}
	e.value = text[at+1:]
	for _, part := range []struct {
		name *string
		text string
	}{{&e.first, first}, {&e.second, second}} {
		if *part.name, err = url.PathUnescape(part.text); err != nil {
			return e, fmt.Errorf("%q: want %%25 for a percent sign", part.text)
		}
		if *part.name == "" {
			return e, errors.New("a name is empty")
		}
	}
	return e, nil
}
