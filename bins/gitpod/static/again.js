// Comes again by itself, which counts as coming from here. What is after the # is of no use to anybody but the page.
location.replace('/' + location.hash);
