"""Three wrong uses, each in its line: type checkers have to see them."""

import finnyaml

recipe = finnyaml.load(3)
recipe.build(jobs="two")
print(finnyaml.bulid)
