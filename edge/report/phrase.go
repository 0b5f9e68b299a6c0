package report

// phrase is what a notice is known by. The beginning of a text is searched for all phrases in one pass, however many there
// are, when the first is asked for.
type phrase struct {
	text   []byte
	number int // from 1; 0 of no phrase, which any text has
}

// phrases are those that known has made, while the package's variables were. They never change then.
var phrases []string

// known returns a phrase, as it is written.
func known(text string) phrase {
	phrases = append(phrases, text)
	return phrase{[]byte(text), len(phrases)}
}

// introHas reports whether the beginning of words has a phrase.
func (r *reader) introHas(p phrase) bool {
	intro := r.intro()
	if !r.introRead {
		r.introRead = true
		r.tables.phrases.scan(intro, &r.intros)
	}
	return p.number == 0 || r.intros.has(uint16(p.number-1))
}
