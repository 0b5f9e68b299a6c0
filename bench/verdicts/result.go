package verdicts

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"carom/bench/result"
)

// Format is the version of the JSON form.
const Format = 1

// Result is what a play gave: a row for each script, and one for all.
type Result struct {
	Format  int    `json:"format"`
	Kind    string `json:"kind"` // verdicts
	Scripts []Row  `json:"scripts"`
	All     Row    `json:"all"`

	Harness result.CPU     `json:"harness"` // by hit, from the registration to the last hit
	Server  *result.CPU    `json:"server,omitempty"`
	Machine result.Machine `json:"machine"`
}

// Row is what the node made of one script.
type Row struct {
	Name     string `json:"name"`
	Messages int    `json:"messages"`
	Hits     int    `json:"hits"`
	// Early counts the verdicts at once, Final those after settling.
	Early Matrix `json:"early"`
	Final Matrix `json:"final"`
	// Unsubscribes is how many messages must be unsubscribed; Unsubscribed how many of them were, and Wrongly how many others.
	Unsubscribes int `json:"unsubscribes"`
	Unsubscribed int `json:"unsubscribed"`
	Wrongly      int `json:"unsubscribed_wrongly"`
	// Unsure is how many hits nobody could judge; they are in none of the other numbers.
	Unsure int `json:"unsure"`
	// Repeats is how many hits have no event of their own, and the verdict of the one that they repeat.
	Repeats int `json:"repeats"`
	// Errors are the most frequent wrong verdicts: truth, verdict, reasons.
	Errors []Mistake `json:"errors,omitempty"`
}

// Matrix counts hits by truth and verdict. Hits that nobody could judge are not in it.
type Matrix struct {
	Machine Verdicts `json:"machine"`
	Human   Verdicts `json:"human"`
}

// Verdicts counts the verdicts on hits of one truth.
type Verdicts struct {
	Machine int `json:"machine"` // proxy or scanner
	Human   int `json:"human"`
	Unknown int `json:"unknown"` // unknown or self
	Lost    int `json:"lost"`    // no event tells of the hit
}

// Mistake is one way to be wrong, and how often it came.
type Mistake struct {
	Truth   Truth    `json:"truth"`
	Kind    string   `json:"kind"`
	Verdict string   `json:"verdict"`
	Reasons []string `json:"reasons"`
	Agent   string   `json:"agent"`
	Hits    int      `json:"hits"`
}

func (v *Verdicts) add(verdict string) {
	switch verdict {
	case "proxy", "scanner":
		v.Machine++
	case "human":
		v.Human++
	case "":
		v.Lost++
	default:
		v.Unknown++
	}
}

func (v *Verdicts) all() int { return v.Machine + v.Human + v.Unknown + v.Lost }

func (m *Matrix) of(t Truth) *Verdicts {
	if t == Machine {
		return &m.Machine
	}
	return &m.Human
}

// Precision is the share of machines among what was called one. ok is false if nothing was.
func (m *Matrix) Precision() (p float64, ok bool) {
	return share(m.Machine.Machine, m.Machine.Machine+m.Human.Machine)
}

// Recall is the share of the machines that was called one. ok is false if there were none.
func (m *Matrix) Recall() (r float64, ok bool) { return share(m.Machine.Machine, m.Machine.all()) }

// HumansLost is the share of the humans that was called a machine. ok is false if there were none.
func (m *Matrix) HumansLost() (s float64, ok bool) { return share(m.Human.Machine, m.Human.all()) }

func share(n, of int) (float64, bool) {
	if of == 0 {
		return 0, false
	}
	return float64(n) / float64(of), true
}

func newResult(scripts []Script, messages []*message, unsubscribed map[string]bool) *Result {
	r := &Result{Format: Format, Kind: "verdicts", All: Row{Name: "all"}}
	rows := make(map[string]*Row)
	for i := range scripts {
		r.Scripts = append(r.Scripts, Row{Name: scripts[i].Name})
	}
	for i := range r.Scripts {
		rows[r.Scripts[i].Name] = &r.Scripts[i]
	}
	for _, m := range messages {
		for _, row := range []*Row{rows[m.script.Name], &r.All} {
			row.add(m, unsubscribed[m.id])
		}
	}
	for i := range r.Scripts {
		r.Scripts[i].sortErrors()
	}
	r.All.sortErrors()
	return r
}

func (r *Row) add(m *message, unsubscribed bool) {
	r.Messages++
	switch {
	case m.unsubscribes:
		r.Unsubscribes++
		if unsubscribed {
			r.Unsubscribed++
		}
	case unsubscribed:
		r.Wrongly++
	}
	for _, h := range m.hits {
		switch {
		case !h.judged():
			continue
		case h.truth == Unsure:
			r.Unsure++
			continue
		}
		r.Hits++
		if h.repeats {
			r.Repeats++
		}
		r.Early.of(h.truth).add(h.early)
		r.Final.of(h.truth).add(h.final)
		if machine := h.final == "proxy" || h.final == "scanner"; machine != (h.truth == Machine) {
			r.mistake(h)
		}
	}
}

func (r *Row) mistake(h *hit) {
	m := Mistake{h.truth, string(h.do), cmp.Or(h.final, "lost"), h.why, h.agent, 1}
	for i := range r.Errors {
		e := &r.Errors[i]
		if e.Truth == m.Truth && e.Kind == m.Kind && e.Verdict == m.Verdict && e.Agent == m.Agent && slices.Equal(e.Reasons, m.Reasons) {
			e.Hits++
			return
		}
	}
	r.Errors = append(r.Errors, m)
}

// maxErrors is how many kinds of mistakes are shown of a script.
const maxErrors = 5

func (r *Row) sortErrors() {
	slices.SortStableFunc(r.Errors, func(a, b Mistake) int { return b.Hits - a.Hits })
	r.Errors = r.Errors[:min(len(r.Errors), maxErrors)]
}

// The bars that a play has to meet.
const (
	MinPrecision  = 0.99
	MinRecall     = 0.97
	MaxHumansLost = 0.005
)

// Shortfalls names the bars that the play misses; none if it meets all.
func (r *Result) Shortfalls() (all []string) {
	f := &r.All.Final
	if p, ok := f.Precision(); ok && p < MinPrecision {
		all = append(all, fmt.Sprintf("precision %.4f, want %.2f", p, MinPrecision))
	}
	if v, ok := f.Recall(); ok && v < MinRecall {
		all = append(all, fmt.Sprintf("recall %.4f, want %.2f", v, MinRecall))
	}
	if v, ok := f.HumansLost(); ok && v >= MaxHumansLost {
		all = append(all, fmt.Sprintf("%.2f %% of the humans are called machines, want under %.1f %%", 100*v, 100*MaxHumansLost))
	}
	if lost := f.Machine.Lost + f.Human.Lost; lost > 0 {
		all = append(all, fmt.Sprintf("%d hits have no event", lost))
	}
	if r.All.Unsubscribed != r.All.Unsubscribes || r.All.Wrongly > 0 {
		all = append(all, fmt.Sprintf("unsubscribed %d of %d, and %d wrongly", r.All.Unsubscribed, r.All.Unsubscribes, r.All.Wrongly))
	}
	return all
}

// WriteTable prints the confusion matrix of every script with precision and recall, before and after settling.
func (r *Result) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\t\tmachine called\t\t\thuman called\t\t\tprecision\trecall\tprecision\trecall\thumans\t")
	fmt.Fprintln(t, "script\thits\tmachine\tunknown\thuman\tmachine\tunknown\thuman\tat once\tat once\tsettled\tsettled\tlost\t")
	for _, row := range slices.Concat(r.Scripts, []Row{r.All}) {
		m, h := row.Final.Machine, row.Final.Human
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t\n", row.Name, row.Hits,
			m.Machine, m.Unknown+m.Lost, m.Human, h.Machine, h.Unknown+h.Lost, h.Human,
			figure(row.Early.Precision()), figure(row.Early.Recall()),
			figure(row.Final.Precision()), figure(row.Final.Recall()), figure(row.Final.HumansLost()))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%d of the %d hits repeat another one within 10 s, and have its verdict; %d more nobody could judge, and they don't count\n",
		r.All.Repeats, r.All.Hits, r.All.Unsure)
	if r.All.Unsubscribes > 0 || r.All.Wrongly > 0 {
		fmt.Fprintf(w, "unsubscribed %d of %d who asked, %d who did not\n", r.All.Unsubscribed, r.All.Unsubscribes, r.All.Wrongly)
	}
	fmt.Fprintln(w)
	if r.Server != nil {
		fmt.Fprintf(w, "node: %s\n", result.ServerText(r.Server, "a hit"))
	}
	_, err := fmt.Fprintf(w, "harness: %s\n", result.HarnessText(&r.Harness, r.Server, "a hit"))
	if d := r.Machine.Disk; d != nil {
		fmt.Fprintf(w, "disk: %s\n", d)
	}
	return err
}

func figure(v float64, ok bool) string {
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%.3f", v)
}

// WriteMistakes prints the most frequent mistakes.
func (r *Result) WriteMistakes(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range r.Scripts {
		for _, e := range row.Errors {
			fmt.Fprintf(t, "%s\t%d\t%s\t%s called %s\t%s\t%.80q\n", row.Name, e.Hits, e.Kind, e.Truth, e.Verdict, strings.Join(e.Reasons, " "), e.Agent)
		}
	}
	return t.Flush()
}

// WriteJSON prints the result as one JSON object.
func (r *Result) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
