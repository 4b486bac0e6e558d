"""What the page is made of: parts that draw themselves in the browser, controls, words."""
