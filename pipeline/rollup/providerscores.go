package rollup

import (
	"carom/pipeline/provider"
	"carom/pipeline/score"
)

// ProviderScore is the score object of what a sender sent to one mailbox provider.
type ProviderScore struct {
	Score
	Provider string `json:"provider"` // empty: it is not known
	// Feedback reports that the provider sends feedback reports to who enrolls. Of the others complaints are hardly ever
	// heard of, so there is no rate of them, and they cap no band.
	Feedback      bool        `json:"feedback"`
	ComplaintRate *score.Rate `json:"complaint_rate"`
}

// maxProviders bounds the providers of one sender that are listed: domains of the largest setting, and all that have
// names.
const maxProviders = maxDomains + 1000

// Providers returns the score of every mailbox provider that the sender sent to, by name; q.Sequence and q.Provider are
// not looked at. Mail to recipients of whom it is not known comes first, under the name "", if there is any in the
// window or of late, so that the scores add up to the sender's.
func (p *Partition) Providers(q Query) ([]ProviderScore, error) {
	m, err := newMoment(q.Window, q.AsOf)
	if err != nil {
		return nil, err
	}
	r, err := p.read()
	if err != nil {
		return nil, err
	}
	defer r.close()
	names, err := r.providers(scope{account: q.Account, sender: q.Sender})
	if err != nil {
		return nil, err
	}
	var scores []ProviderScore
	for _, name := range append([]string{""}, names...) {
		s, err := r.score(part{q.Account, q.Sender, partProvider, name}, m)
		if err != nil {
			return nil, err
		}
		if name == "" && s.Completed == 0 && s.Recent == (Recent{}) {
			continue
		}
		scores = append(scores, p.providerScore(s))
	}
	return scores, nil
}

// providerScore makes of a score that of a provider.
func (p *Partition) providerScore(s Score) ProviderScore {
	a := ProviderScore{Score: s, Provider: s.Provider, Feedback: provider.Reports(s.Provider)}
	if a.Feedback {
		a.ComplaintRate = &a.Complaint
		return a
	}
	silent := s.Counts
	silent.Complained = 0
	a.Result = p.scorer.For(s.Account).Score(silent)
	return a
}

// providers lists the names that a sender's mail is counted under by provider.
func (r *reading) providers(s scope) ([]string, error) {
	prefix := s.appendSender(appendHeader(nil, r.p.number, tableProvider))
	var names []string
	for ok := r.it.SeekGE(prefix); ok && len(names) < maxProviders; ok = r.it.Next() {
		name, in, err := r.name(prefix)
		if err != nil {
			return nil, err
		}
		if !in {
			break
		}
		names = append(names, name)
	}
	return names, r.it.Error()
}
