"""What belongs to a place and not to a recipe: the site file. Which apply (`files`), and what they say (`load`)."""
