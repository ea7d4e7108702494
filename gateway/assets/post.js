// Sends the one form of the page; without scripts its button does the same.
document.forms[0].submit();
