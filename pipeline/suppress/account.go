package suppress

import (
	"math"
	"time"

	"carom/kv"
	"carom/pipeline/event"
)

const (
	// countedContacts is how many contacts of an account are counted: from there on the quota is at its most by default, and
	// refine tells of no more.
	countedContacts = 50_000
	// contactsTold is how many new contacts make the count worth publishing.
	contactsTold = 50
)

func (p *Partition) accountKey(account string) []byte {
	return kv.AppendName(p.table(tableAccount), account)
}

func (p *Partition) loadAccount(account string) (*wireAccount, error) {
	a := &wireAccount{}
	_, err := p.getJSON(p.accountKey(account), a)
	a.Type, a.Account = typeAccount, account
	return a, err
}

func (p *Partition) keepAccount(a *wireAccount, publish bool) error {
	a.At = nil
	if publish {
		told := *a
		told.At = &p.place
		p.publish(quotaKey(a.Account), encode(told))
	}
	return p.set(p.accountKey(a.Account), encode(a))
}

// contact counts a contact of an account, once.
func (p *Partition) contact(f *event.AddressFact) error {
	key, ok := event.ParseContactKey(f.ContactKey)
	if !ok || f.Account == "" {
		p.metrics.skipped.WithLabelValues(skipRejected).Inc()
		return nil
	}
	a, err := p.loadAccount(f.Account)
	if err != nil || a.Contacts >= countedContacts {
		return err
	}
	row := append(kv.AppendName(p.table(tableContact), f.Account), key[:]...)
	if known, err := p.get(row); err != nil || known != nil {
		return err
	}
	if err := p.set(row, nil); err != nil {
		return err
	}
	a.Contacts++
	return p.keepAccount(a, a.Contacts%contactsTold == 0)
}

// allowed is how many of an account's contacts may be reactivated in a month.
func (a *wireAccount) allowed(o *Options) int64 {
	// The share is of decimal digits, and what it lacks of a whole one in binary must not cost a contact.
	share := math.Floor(o.QuotaShare*float64(a.Contacts) + 1e-9)
	return min(max(int64(share), int64(o.QuotaLeast)), int64(o.QuotaMost))
}

func month(at event.Millis) string { return at.Time().Format("2006-01") }

// nextMonth is the first moment of the calendar month after at.
func nextMonth(at event.Millis) event.Millis {
	t := at.Time()
	return event.FromTime(time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC))
}
