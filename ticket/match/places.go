package match

// Places are the names of places and firms in a text, without the general word at their ends, each once: 丽发新城小区 and
// 丽发新城社区 are 丽发新城.
func Places(texts ...string) []string {
	var out []string
	seen := map[string]bool{}
	for _, t := range texts {
		for _, p := range places(normalise(t)) {
			if s := stem(p); !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}
