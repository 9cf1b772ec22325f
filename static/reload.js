// The browser's half of `httpd --reload`; the other is httpd/reload/.
//
// A page carries the number of the last change before it was made, in this script's address.  The server tells its state
// in three words: when it began, the last change that needs a reload, the last change of style sheets alone.  A page
// that was away compares, and has missed nothing.  Of all tabs that are shown, one listens and tells the others, since
// a browser makes only six connections to a server and the pages need them.
(() => {
    'use strict';
    const NAME = 'httpd-reload';
    const RETRY = 2000;
    const address = new URL(document.currentScript.src);
    // Twice in a page it would reload twice; in a sandbox it may not ask the server.
    if (window[NAME] || self.origin !== address.origin) return;
    window[NAME] = true;

    const [began, number] = address.search.slice(1).split('.');
    let seen = Number(number);
    let latest = '';     // the state that was told last, while this tab listens
    let turn = null;     // to be aborted when the page is no longer shown
    let forbidden = false;
    const tabs = new BroadcastChannel(NAME);
    const events = new URL(NAME, address).href;

    // ---- what a change means

    function judge(state) {
        const [start, pages, styles] = state.split(' ');
        if (document.hidden) return;
        if (start !== began || Number(pages) > seen) reload(state);
        else if (Number(styles) > seen) {
            seen = Number(styles);
            restyle(state);
        }
    }

    // Once for each state: a page that a service worker keeps would come back as old as it was, again and again.
    function reload(state) {
        const done = `${location.href} ${state}`;
        try {
            if (sessionStorage.getItem(NAME) === done) return;
            sessionStorage.setItem(NAME, done);
        } catch { /* no storage here: do without */ }
        location.reload();
    }

    // Each style sheet gets a successor, and goes when that is there: the page is never without style.
    const leaving = new WeakSet();
    function restyle(state) {
        const links = [...document.querySelectorAll('link[rel~="stylesheet" i][href]')]
            .filter(link => !link.disabled && !leaving.has(link) && link.href.startsWith(`${location.origin}/`));
        // What came by @import or by a script is not in a link that could be changed.
        const others = performance.getEntriesByType('resource').some(({name, initiatorType}) =>
            initiatorType !== 'link' && name.startsWith(`${location.origin}/`) && /\.css($|[?#])/.test(name));
        if (others || !links.length) return reload(state);
        for (const link of links) {
            const next = link.cloneNode();
            const target = new URL(link.href);
            target.searchParams.set(NAME, seen);
            next.href = target;
            next.onload = () => link.remove();
            next.onerror = () => reload(state);
            leaving.add(link);
            link.after(next);
        }
    }

    // ---- who listens

    function listen(signal) {
        if (signal.aborted) return;
        let source, retry;
        const open = () => {
            source = new EventSource(events);
            source.onmessage = ({data}) => {
                latest = data;
                tabs.postMessage(data);
                judge(data);
            };
            // It tries again by itself, unless the answer was none of its kind.
            source.onerror = () => {
                if (source.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY);
            };
        };
        open();
        return new Promise(done => signal.addEventListener('abort', () => {
            latest = '';
            clearTimeout(retry);
            source.close();
            done();
        }));
    }

    // Locks are to be had on trustworthy origins only; elsewhere each tab listens for itself, and the server counts.
    function attend() {
        if (turn || document.hidden || forbidden) return;
        turn = new AbortController();
        const {signal} = turn;
        if (navigator.locks) navigator.locks.request(NAME, {signal}, () => listen(signal)).catch(() => {});
        else listen(signal);
        tabs.postMessage('');
    }

    function leave() {
        turn?.abort();
        turn = null;
    }

    // Nothing said is a question: who has come asks for the state.
    tabs.onmessage = ({data}) => {
        if (data) judge(data);
        else if (latest) tabs.postMessage(latest);
    };
    // The page's own policy stands: to ask again would only fill its console.
    document.addEventListener('securitypolicyviolation', ({blockedURI}) => {
        if (blockedURI !== events) return;
        forbidden = true;
        leave();
    });
    document.addEventListener('visibilitychange', () => document.hidden ? leave() : attend());
    addEventListener('pagehide', leave);
    addEventListener('pageshow', attend);
    attend();
})();
