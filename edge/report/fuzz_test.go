package report

import (
	"bytes"
	"reflect"
	"testing"
)

func FuzzRead(f *testing.F) {
	for _, mail := range goldenMails(f) {
		f.Add(mail)
	}
	f.Fuzz(func(t *testing.T, mail []byte) {
		before := bytes.Clone(mail)
		r := Read(mail)
		check(t, r)
		if !bytes.Equal(before, mail) {
			t.Fatal("Read changed the mail")
		}
		if again := Read(mail); !reflect.DeepEqual(r, again) {
			t.Fatalf("first %+v, then %+v", r, again)
		}
	})
}

func FuzzReadReply(f *testing.F) {
	for _, c := range replies {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fact := ReadReply(text)
		checkFact(t, &fact)
		if len(fact.ReplyCode) == 3 {
			if kind := map[byte]Kind{'2': Delivered, '4': Delay, '5': Bounce}[fact.ReplyCode[0]]; kind != fact.Kind {
				t.Errorf("a reply %s is a %s", fact.ReplyCode, fact.Kind)
			}
		} else if fact.Kind != Other {
			t.Errorf("a %s without a code", fact.Kind)
		}
	})
}
