"""The control room: its pages over HTTP (`test_*`), and as an operator uses them in a browser (`tests.browser.test_ops*`)."""
