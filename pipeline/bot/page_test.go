package bot

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"carom/pipeline/burst"
	"carom/pipeline/event"
)

const page = "../../deploy/VERDICTS.md"

// pageRows returns the rows of the page's tables by the code in their first cell.
func pageRows(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 4 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		code := strings.Trim(cells[1], "`")
		if rows[code] != nil {
			t.Errorf("%s stands there twice", code)
		}
		rows[code] = cells[2 : len(cells)-1]
	}
	return rows
}

// said collects what the rules of each code say of opens and of clicks, in the page's words.
type said map[string]*[hits][]string

func (s said) add(r *rule) {
	cells := s[r.code]
	if cells == nil {
		cells = new([hits][]string)
		s[r.code] = cells
	}
	for h := range hits {
		text := r.verdicts[h].String()
		switch {
		case r.weighs[h]:
			text = "weight"
		case text == "":
			continue
		case r.soon != (event.Soon{}) && !r.verdicts[h].Machine():
			text += ", " + r.soon.Verdict.String() + " within " + (time.Duration(r.soon.Within) * time.Millisecond).String()
		}
		if !slices.Contains(cells[h], text) {
			cells[h] = append(cells[h], text)
		}
	}
}

// TestPage holds the page against the data files and the other packages that give reasons.
func TestPage(t *testing.T) {
	rules, rows := Default(), pageRows(t)
	s := said{}
	for i := range rules.agents.rules {
		s.add(&rules.agents.rules[i])
	}
	for i := range rules.headers.rules {
		s.add(&rules.headers.rules[i].rule)
	}
	for i := range rules.networks.rules {
		s.add(&rules.networks.rules[i].rule)
	}
	s.add(&rule{code: methodCode, verdicts: [hits]event.Verdict{event.Scanner, event.Scanner}})
	for code, cells := range s {
		row := rows[code]
		if len(row) < 3 {
			t.Errorf("%s has no row in %s", code, page)
			continue
		}
		for h, name := range [...]string{opens: "opens", clicks: "clicks"} {
			want := strings.Join(cells[h], " or ")
			if want == "" {
				want = "-"
			}
			if row[h] != want {
				t.Errorf("%s: of %s the page says %q, the rules %q", code, name, row[h], want)
			}
		}
		delete(rows, code)
	}
	others := append((^burst.Reasons(0)).Append(nil), "shared_address", "self_cookie", "self_address", "repeat", "withdrawn")
	for _, code := range others {
		if rows[code] == nil {
			t.Errorf("%s has no row in %s", code, page)
		}
		delete(rows, code)
	}
	for code := range rows {
		if _, ok := event.ParseVerdict(code); !ok && !slices.Contains(Files(), code) && !strings.HasSuffix(code, listSuffix) {
			t.Errorf("%s stands in %s, and nothing gives it", code, page)
		}
	}
}
