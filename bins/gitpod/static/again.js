// Comes again by itself, which counts as coming from here. What is after the # is of no use to anybody but the page. The ?
// makes it another address than this one, to which the browser would only scroll.
location.replace('/?' + location.hash);
