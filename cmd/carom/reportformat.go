package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"

	"carom/edge/report"
)

// appendFacts appends what a mail or a reply says, in the format that was asked for.
func (q *reportQuery) appendFacts(dst []byte, file string, facts []report.Fact, why *report.Explanation) []byte {
	if q.format == formatTable {
		return appendRows(dst, file, facts, why)
	}
	for i := range facts {
		dst = facts[i].AppendJSON(dst, file, i+1)
		if why != nil {
			dst = append(dst[:len(dst)-len("}")], `,"explain":`...)
			dst = append(appendExplanation(dst, why, i), '}')
		}
		dst = append(dst, '\n')
	}
	return dst
}

// factExplanation is the JSON member "explain" of a fact.
type factExplanation struct {
	// Decoders were asked, in this order; the last one read the mail. A reply has none.
	Decoders []explainedStep `json:"decoders,omitempty"`
	// Row of a table below edge/report/tables that decided.
	Row *explainedRow `json:"row,omitempty"`
	// Match is what of the text its pattern matched.
	Match string `json:"match,omitempty"`
	// Text is what the rules saw.
	Text string `json:"text,omitempty"`
	// Steps of the order of decision.
	Steps []explainedStep `json:"steps,omitempty"`
}

type explainedStep struct {
	Name   string `json:"name"`
	Taken  bool   `json:"taken"`
	Why    string `json:"why"`
	Source string `json:"source,omitempty"`
}

type explainedRow struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Pattern string `json:"pattern"`
	Source  string `json:"source"`
}

// appendExplanation appends why the i-th fact is as it is, as JSON.
func appendExplanation(dst []byte, why *report.Explanation, i int) []byte {
	e := factExplanation{Decoders: explainedSteps(why.Decoders)}
	if i < len(why.Decisions) {
		d := &why.Decisions[i]
		e.Match, e.Text, e.Steps = d.Match, d.Text, explainedSteps(d.Steps)
		if d.Row.File != "" {
			row := explainedRow(d.Row)
			e.Row = &row
		}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // texts are full of "<" and "&"
	if err := encoder.Encode(&e); err != nil {
		panic("BUG: " + err.Error())
	}
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

func explainedSteps(steps []report.Step) []explainedStep {
	out := make([]explainedStep, len(steps))
	for i, s := range steps {
		out[i] = explainedStep{Name: s.Name, Taken: s.Taken, Why: s.Why, Source: s.Source}
	}
	return out
}

// noteMark begins a line that is no row of the table. No cell holds it: cells hold what can be printed.
const noteMark = '\x01'

// appendRows appends what a mail says as lines for reportTable: a row for each fact, its cells parted by tabs, and below
// them why.
func appendRows(dst []byte, file string, facts []report.Fact, why *report.Explanation) []byte {
	for i := range facts {
		f := &facts[i]
		said := f.Diagnostic
		switch {
		case f.Kind == report.Other:
			said = f.Why
		case said == "" && f.FeedbackType != "":
			said = "feedback type " + f.FeedbackType
		}
		for _, cell := range []string{file, string(f.Kind), f.Recipient, f.Status, f.Category, hardness(f), f.Provider} {
			dst = append(append(dst, printable(cell)...), '\t')
		}
		dst = append(append(dst, printable(said)...), '\n')
	}
	if why != nil {
		for line := range strings.Lines(why.String()) {
			dst = append(append(dst, noteMark), printable(strings.TrimRight(line, "\n"))...)
			dst = append(dst, '\n')
		}
	}
	return dst
}

// hardness is the word for people. Only failures have one.
func hardness(f *report.Fact) string {
	switch {
	case f.Hard:
		return "hard"
	case f.Kind == report.Bounce || f.Kind == report.Delay:
		return "soft"
	}
	return ""
}

// printable is s without what would change a terminal rather than be seen on it: names of files and words of mails are
// strangers'.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c == ' ' || unicode.IsGraphic(c) {
			return c
		}
		return unicode.ReplacementChar
	}, s)
}
