package report

import (
	"bufio"
	"maps"
	"os"
	"path/filepath"
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

// compare counts how far the facts of one mail agree with its labels. Each fact serves one label; what is left over
// on either side counts against kind and category.
func (t tally) compare(labels []corpusLabel, facts []Fact) {
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
		kind := slices.Contains(l.kinds(), f.Kind)
		t.count("kind", kind)
		t.count("category", kind && f.Category == l.wantCategory())
		if l.wantCategory() != "" && l.category != "delivered" && l.category != "inactive" {
			t.count("hard", best >= 0 && f.Hard == (l.hard == "true"))
		}
		if l.recipient != "" {
			t.count("recipient", strings.EqualFold(f.Recipient, l.recipient))
		}
		if l.status != "" {
			t.count("status", f.Status == l.status)
		}
	}
	for range facts {
		t.count("kind", false)
		t.count("category", false)
	}
}

// corpusFloors are the shares of agreement that must not be lost again. What is missing to 1 is mostly labels that the
// mails contradict: failures after days of trying that are labelled as delays (against Action: failed), "user unknown" that
// is labelled as filtered.
var corpusFloors = map[string]float64{"kind": 0.93, "recipient": 0.97, "status": 0.97, "category": 0.84, "hard": 0.92}

func TestCorpus(t *testing.T) {
	dir := os.Getenv("CAROM_CORPUS")
	if dir == "" {
		t.Skip("CAROM_CORPUS names no corpus")
	}
	labels := readLabels(t, filepath.Join(dir, "bounces", "expected.tsv"))
	total := tally{}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		mail, err := os.ReadFile(filepath.Join(dir, "bounces", "mail", name))
		if err != nil {
			t.Fatal(err)
		}
		r := Read(mail)
		check(t, r)
		total.compare(labels[name], r.Facts)
	}
	for name, floor := range corpusFloors {
		c := total[name]
		share := float64(c.right) / float64(c.all)
		t.Logf("%s: %d of %d, %.3f", name, c.right, c.all, share)
		if share < floor {
			t.Errorf("%s: %.3f, want at least %.3f", name, share, floor)
		}
	}
}

// TestCorpusDamaged reads each mail of the corpus with a hundred damages.
func TestCorpusDamaged(t *testing.T) {
	for _, mail := range corpusMails(t) {
		readDamaged(t, mail, 17)
	}
}
