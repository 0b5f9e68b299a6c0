package report

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenMails returns our own mails, by name.
func goldenMails(tb testing.TB) map[string][]byte {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "mail", "*.eml"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no mails: %v", err)
	}
	mails := map[string][]byte{}
	for _, f := range files {
		mail, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		mails[strings.TrimSuffix(filepath.Base(f), ".eml")] = mail
	}
	return mails
}

// render writes a report as JSON lines: what the mail says of itself, then its facts.
func render(tb testing.TB, name string, r Report) []byte {
	tb.Helper()
	head := map[string]any{}
	set := func(key, value string) {
		if value != "" {
			head[key] = value
		}
	}
	set("message_id", r.MessageID)
	set("from", r.From)
	set("subject", r.Subject)
	set("original_message_id", r.OriginalMessageID)
	set("original_ref", r.OriginalRef)
	if r.Digest != [16]byte{} {
		set("digest", hex.EncodeToString(r.Digest[:]))
	}
	if len(r.References) > 0 {
		head["references"] = r.References
	}
	line, err := json.Marshal(head)
	if err != nil {
		tb.Fatal(err)
	}
	out := append(line, '\n')
	for i := range r.Facts {
		out = append(r.Facts[i].AppendJSON(out, name+".eml", i+1), '\n')
	}
	return out
}

func TestGolden(t *testing.T) {
	for name, mail := range goldenMails(t) {
		t.Run(name, func(t *testing.T) {
			got := render(t, name, Read(mail))
			file := filepath.Join("testdata", "mail", name+".golden")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestJSONMembers holds the contract of DESIGN §11: these members, in this order, always.
func TestJSONMembers(t *testing.T) {
	want := []string{
		"file", "n", "kind", "recipient", "status", "reply_code", "action", "category", "hard", "diagnostic", "remote_mta",
		"provider", "original_message_id", "feedback_type", "decoder", "rule",
	}
	for _, f := range []Fact{{}, {Kind: Other, Why: "because"}, Read(goldenMails(t)["postfix-dsn"]).Facts[1]} {
		line := f.AppendJSON(nil, "a \"strange\" \x01\xff name", 7)
		d := json.NewDecoder(bytes.NewReader(line))
		if _, err := d.Token(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for d.More() {
			key, err := d.Token()
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			got = append(got, key.(string))
			if _, err := d.Token(); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
		}
		if strings.Join(got[:min(len(got), len(want))], " ") != strings.Join(want, " ") {
			t.Errorf("members %v", got)
		}
		if has := strings.Contains(string(line), `"why":`); has != (f.Kind == Other) {
			t.Errorf("why in %s", line)
		}
		var back struct {
			File string
			N    int
		}
		if err := json.Unmarshal(line, &back); err != nil || back.File != "a \"strange\" \x01\ufffd name" || back.N != 7 {
			t.Errorf("%s: %+v, %v", line, back, err)
		}
	}
}
