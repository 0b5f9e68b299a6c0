package report

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// corpusLabel is what the labellers say about one fact of a mail.
type corpusLabel struct{ recipient, status, category, hard, action string }

// readLabels reads the labels of the corpus, by file.
func readLabels(tb testing.TB, file string) map[string][]corpusLabel {
	tb.Helper()
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	column := map[string]int{}
	labels := map[string][]corpusLabel{}
	for s.Scan() {
		c := strings.Split(s.Text(), "\t")
		if len(column) == 0 {
			for i, name := range c {
				column[name] = i
			}
			continue
		}
		if c[column["category"]] == "" {
			continue // not labelled
		}
		name := c[column["file"]]
		labels[name] = append(labels[name], corpusLabel{
			c[column["recipient"]], c[column["status"]], c[column["category"]], c[column["hard"]], c[column["action"]],
		})
	}
	if err := s.Err(); err != nil {
		tb.Fatal(err)
	}
	return labels
}

// corpusNames maps the labellers' categories to those of DESIGN §7, where the names differ.
var corpusNames = map[string]string{
	"filtered_after_data": "filtered", "dns_network": "dns", "reputation_config": "reputation",
	"complaint": "", "auto_reply": "",
}

// kinds returns which kinds a label allows.
func (l *corpusLabel) kinds() []Kind {
	switch {
	case l.category == "complaint":
		return []Kind{Complaint, Unsubscribe}
	case l.category == "auto_reply":
		return []Kind{AutoReply}
	case l.category == "delivered":
		return []Kind{Delivered}
	case l.action == "delayed":
		return []Kind{Delay}
	case l.action == "failed":
		return []Kind{Bounce}
	}
	return []Kind{Bounce, Delay}
}

func (l *corpusLabel) wantCategory() string {
	if name, ok := corpusNames[l.category]; ok {
		return name
	}
	return l.category
}

// likeness says how well a fact fits a label.
func (l *corpusLabel) likeness(f *Fact) (n int) {
	if slices.Contains(l.kinds(), f.Kind) {
		n += 4
	}
	if strings.EqualFold(f.Recipient, l.recipient) {
		n += 8
	}
	if f.Category == l.wantCategory() {
		n += 2
	}
	if f.Status == l.status {
		n++
	}
	return n
}

// tally counts agreement, by what is compared.
type tally map[string]struct{ right, all int }

func (t tally) count(name string, right bool) {
	c := t[name]
	c.all++
	if right {
		c.right++
	}
	t[name] = c
}

func (t tally) share(name string) float64 {
	return float64(t[name].right) / float64(max(1, t[name].all))
}

// compared are the names in a tally, in the order in which they are shown. "bounce" is kind with bounce and delay as one,
// because the labels make a delay of every expiry (CONTESTED.md).
var compared = []string{"kind", "bounce", "recipient", "status", "category", "hard"}

func (t tally) String() string {
	var b strings.Builder
	for _, name := range compared {
		if c := t[name]; c.all > 0 {
			fmt.Fprintf(&b, " %s %d/%d %.3f", name, c.right, c.all, t.share(name))
		}
	}
	return b.String()
}

// compare counts how far the facts of one mail agree with its labels, as agree.py does. Each fact serves one label; what is
// left over on either side counts against kind and category. It returns what differs, in words.
func (t tally) compare(labels []corpusLabel, facts []Fact) (differs []string) {
	facts = slices.DeleteFunc(slices.Clone(facts), func(f Fact) bool { return f.Kind == Other || f.Kind == Reply })
	for i := range labels {
		l := &labels[i]
		best := -1
		for j := range facts {
			if best < 0 || l.likeness(&facts[j]) > l.likeness(&facts[best]) {
				best = j
			}
		}
		var f Fact
		if best >= 0 {
			f = facts[best]
			facts = slices.Delete(facts, best, best+1)
		}
		differ := func(name string, right bool, want, got any) {
			if t.count(name, right); !right {
				differs = append(differs, fmt.Sprintf("%d: %s %v, labelled %v", i+1, name, got, want))
			}
		}
		kinds := l.kinds()
		kind := slices.Contains(kinds, f.Kind)
		differ("kind", kind, kinds, f.Kind)
		t.count("bounce", kind || slices.ContainsFunc(kinds, Kind.fails) && f.Kind.fails())
		right := kind && f.Category == l.wantCategory()
		t.count("category", right)
		if f.Category != l.wantCategory() {
			differs = append(differs, fmt.Sprintf("%d: category %s by %s, labelled %s: %.120s", i+1, f.Category, f.Rule, l.wantCategory(), f.Diagnostic))
		}
		if l.wantCategory() != "" && l.category != "delivered" && l.category != "inactive" {
			differ("hard", best >= 0 && f.Hard == (l.hard == "true"), l.hard, f.Hard)
		}
		if l.recipient != "" {
			differ("recipient", strings.EqualFold(f.Recipient, l.recipient), l.recipient, f.Recipient)
		}
		if l.status != "" {
			differ("status", f.Status == l.status, l.status, f.Status)
		}
	}
	for _, f := range facts {
		for _, name := range []string{"kind", "bounce", "category"} {
			t.count(name, false)
		}
		if f.Hard {
			t.count("hard", false)
		}
		differs = append(differs, fmt.Sprintf("-: %s/%s %s, which no label has", f.Kind, f.Category, f.Recipient))
	}
	return differs
}

// fails reports whether a kind of fact is about a mail that did not arrive, or not yet.
func (k Kind) fails() bool { return k == Bounce || k == Delay }

// structureOf names the structure of a mail, in the letters of the corpus.
func structureOf(mail []byte, facts []Fact) string {
	r := getReader()
	defer r.put()
	r.raw = withLF(mail)
	r.body, r.fields = r.head.parseMessage(r.raw)
	r.walk(r.head[fContentType], r.head[fEncoding], r.body, 0)
	status, group := r.part(partStatus), statusGroup{}
	if status != nil {
		s, base := fieldScanner{rest: status.encoding.decode(status.body, maxStatusPart, &r.scratch)}, finding{}
		for {
			name, value, ok := s.next()
			if !ok {
				break
			}
			if name != nil {
				group.set(r, name, value, &base, 0)
			}
		}
	}
	switch {
	case r.part(partFeedback) != nil:
		return "D  feedback report"
	case facts[0].Kind == Complaint || facts[0].Kind == Unsubscribe:
		return "D3 non-standard complaint"
	case facts[0].Kind == AutoReply:
		return "E  auto-reply"
	case status != nil && group.final == nil && group.original == nil && len(r.found) == 0:
		return "C  delivery status without a recipient group"
	case status != nil && (group.action == nil || group.status == nil || group.final == nil):
		return "B  delivery status with fields missing"
	case status != nil:
		return "A  delivery status"
	case hasFold(r.head.get(fContentType), "multipart/report"):
		return "F  report without delivery status"
	case hasFold(r.head.get(fContentType), "multipart/"):
		return "G  other multipart"
	}
	return "H  text alone"
}

// corpusFloors are the shares of agreement with all labels that must not be lost again; uncontestedFloors, which are higher
// than the bars that the project has set itself, those with the labels that CONTESTED.md does not name.
var (
	corpusFloors      = map[string]float64{"kind": 0.938, "bounce": 0.99, "recipient": 0.985, "status": 0.985, "category": 0.894, "hard": 0.974}
	uncontestedFloors = map[string]float64{"kind": 0.99, "recipient": 0.98, "status": 0.98, "category": 0.97, "hard": 0.98}
)

// contested reads the names of the mails that CONTESTED.md lists.
func contested(tb testing.TB) map[string]bool {
	tb.Helper()
	text, err := os.ReadFile("CONTESTED.md")
	if err != nil {
		tb.Fatal(err)
	}
	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([a-z0-9-]+\.eml) \|`).FindAllSubmatch(text, -1) {
		names[string(m[1])] = true
	}
	if len(names) == 0 {
		tb.Fatal("CONTESTED.md names no mail")
	}
	return names
}

// TestCorpus reads each mail of the corpus and shows (-v, or make corpus) how far that agrees with its labels.
func TestCorpus(t *testing.T) {
	dir := os.Getenv("CAROM_CORPUS")
	if dir == "" {
		t.Skip("CAROM_CORPUS names no corpus")
	}
	labels := readLabels(t, filepath.Join(dir, "bounces", "expected.tsv"))
	total, rest := tally{}, tally{}
	byStructure, byDecoder := map[string]tally{}, map[string]tally{}
	lists := contested(t)
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		mail, err := os.ReadFile(filepath.Join(dir, "bounces", "mail", name))
		if err != nil {
			t.Fatal(err)
		}
		r := Read(mail)
		check(t, r)
		differs := total.compare(labels[name], r.Facts)
		group(byStructure, structureOf(mail, r.Facts)).compare(labels[name], r.Facts)
		group(byDecoder, r.Facts[0].Decoder).compare(labels[name], r.Facts)
		note := ""
		if lists[name] {
			note = " (contested)"
			if len(differs) == 0 {
				t.Errorf("%s: CONTESTED.md lists it, and nothing differs", name)
			}
		} else {
			rest.compare(labels[name], r.Facts)
		}
		for _, d := range differs {
			t.Logf("%s%s %s", name, note, d)
		}
	}
	for _, groups := range []map[string]tally{byStructure, byDecoder} {
		for _, name := range slices.Sorted(maps.Keys(groups)) {
			t.Logf("%s:%s", name, groups[name])
		}
	}
	t.Logf("all labels:%s", total)
	t.Logf("labels that are not contested:%s", rest)
	keep(t, "all labels", total, corpusFloors)
	keep(t, "labels that are not contested", rest, uncontestedFloors)
}

// group returns the tally of a name, made if there is none.
func group(groups map[string]tally, name string) tally {
	if groups[name] == nil {
		groups[name] = tally{}
	}
	return groups[name]
}

// keep holds the floors.
func keep(t *testing.T, what string, got tally, floors map[string]float64) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(floors)) {
		if share := got.share(name); share < floors[name] {
			t.Errorf("%s: %s %.3f, want at least %.3f", what, name, share, floors[name])
		}
	}
}
