"""Whether a bundle, a board and a data set are right: self-test, validation, what is wrong where they are not."""
