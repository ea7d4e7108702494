// Tells the pages of this site that wait for a sign-in, then goes. Only a window that a script opened can be closed.
new BroadcastChannel("samlgate").postMessage("signed-in");
window.close();
