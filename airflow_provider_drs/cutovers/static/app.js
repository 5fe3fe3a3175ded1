// The page "DRS cutovers": Airflow's own React and Chakra, no build step. It only reads, and never talks to DRS.
(() => {
  const h = React.createElement;
  const { useCallback, useEffect, useRef, useState } = React;
  const { Badge, Box, Heading, Link, Table, Text } = ChakraUI;
  const { Link: RouterLink, useSearchParams } = ReactRouterDOM;

  const PAGE = 100;
  const REFRESH = 5000; // milliseconds, while a switchover runs
  const FILTERS = ["outcome", "job_id", "dag_id", "since", "until", "run_id"];
  const COLOURS = { done: "green", already: "green", failed: "red", disputed: "red", unknown: "orange", lost: "orange" };
  // The phases of a bar: from which moment to which, and its colour, which reads in light and dark.
  const PHASES = [
    ["guards", "guarded_at", "posted_at", "gray.solid"],
    ["asked", "posted_at", "accepted_at", "blue.solid"],
    ["accepted", "accepted_at", "start_seen_at", "cyan.solid"],
    ["switching", "start_seen_at", "finished_at", "purple.solid"],
  ];

  const address = (path, query) => {
    const url = new URL(`drs/api/${path}`, document.baseURI);
    Object.entries(query).forEach(([key, value]) => value && url.searchParams.set(key, value));
    return url;
  };
  const time = (text) => (text ? new Date(text).toLocaleString() : "");
  const seconds = (from, to) => (from && to ? Math.max((new Date(to) - new Date(from)) / 1000, 0) : null);
  const approvals = (row) => (row.evidence.approvals || []).map((one) =>
    [one.by || "unknown", one.answer && `(${one.answer})`, time(one.at)].filter(Boolean).join(" ")).join(", ");
  const serves = (row) =>
    row.serves ? `${row.serves}, says the witness at ${time(row.serves_at)}` : "not known: no witness has told";
  const told = (value, unit = "") => (value === null || value === undefined || value === "" ? "–" : `${value}${unit}`);
  const runUrl = (row) => `/dags/${encodeURIComponent(row.dag_id)}/runs/${encodeURIComponent(row.run_id)}`;
  const taskUrl = (row) =>
    `${runUrl(row)}/tasks/${encodeURIComponent(row.task_id)}${row.map_index >= 0 ? `/mapped/${row.map_index}` : ""}`;
  const idOf = (row) =>
    [row.dag_id, row.run_id, row.task_id, row.map_index, row.posted_at || row.guarded_at].join(" ");

  const Outcome = ({ row }) =>
    h(Box, { display: "flex", gap: 1, flexWrap: "wrap" },
      h(Badge, { colorPalette: COLOURS[row.outcome] || "gray" }, row.outcome),
      row.running ? h(Badge, { colorPalette: "blue" }, "running") : null,
      row.needs_person ? h(Badge, { colorPalette: "orange" }, "needs a person") : null);

  const Bar = ({ row }) => {
    const parts = PHASES.map(([name, from, to, colour]) => {
      // DRS's START may not have been seen: then the phase before it goes on until the end.
      const end = row[to] || (to === "start_seen_at" ? row.finished_at : null);
      return [name, seconds(row[from], end), colour];
    }).filter(([, length]) => length !== null);
    const whole = parts.reduce((sum, [, length]) => sum + length, 0);
    const text = parts.map(([name, length]) => `${name} ${length.toFixed(1)} s`).join(", ");
    if (!parts.length) return h(Text, { color: "fg.muted" }, "–");
    return h(Box, { role: "img", "aria-label": text, title: text, display: "flex", width: "9rem", height: "0.8rem",
                    borderRadius: "sm", overflow: "hidden" },
      parts.map(([name, length, colour]) =>
        h(Box, { key: name, bg: colour, flexGrow: whole ? length / whole : 1, minWidth: "2px" })));
  };

  const Field = ({ label, children }) =>
    h(Box, { as: "label", display: "flex", flexDirection: "column", fontSize: "sm" },
      h(Text, { color: "fg.muted" }, label), children);
  const LINK = { color: "fg.info" };
  const INPUT = { borderWidth: "1px", borderRadius: "sm", px: 2, bg: "bg", color: "fg", minWidth: "10rem", height: "2.25rem" };
  const Input = (props) => h(Box, { as: "input", ...INPUT, ...props });
  const Select = ({ options, ...props }) =>
    h(Box, { as: "select", ...INPUT, ...props },
      options.map(([value, text]) => h("option", { key: value, value }, text)));

  const Pairs = ({ rows }) =>
    h(Table.Root, { size: "sm", width: "auto" }, h(Table.Body, null, rows.map(([what, value], i) =>
      h(Table.Row, { key: i },
        h(Table.Cell, { as: "th", scope: "row", fontWeight: "medium", textAlign: "left" }, what),
        h(Table.Cell, { whiteSpace: "pre-wrap", overflowWrap: "anywhere" }, value)))));

  const Detail = ({ row, close }) => {
    const heading = useRef(null);
    useEffect(() => heading.current && heading.current.focus(), [idOf(row)]);
    const guards = row.evidence.guards || [];
    return h(Box, { as: "section", "aria-label": `Switchover of job ${row.job_id}`, borderWidth: "1px",
                    borderRadius: "md", p: 4, my: 4, "data-testid": "detail" },
      h(Box, { display: "flex", justifyContent: "space-between", gap: 4 },
        h(Heading, { size: "md", tabIndex: -1, ref: heading, overflowWrap: "anywhere" },
          `${row.outcome}: job ${row.job_id}, mode ${told(row.mode)}`),
        h(Box, { as: "button", type: "button", onClick: close, ...INPUT, minWidth: "auto" }, "Close")),
      h(Pairs, { rows: [
        ["What is certain", row.certain],
        ["Runbook", row.runbook ? `airflow-drs docs runbook --section ${row.runbook}` : "nothing to do"],
        ["Who serves", serves(row)],
        ["Decided by", told(row.decided_by)],
        ["Approved by", told(approvals(row))],
        ["Started by", told(row.started_by)],
        ["DRS's code and text", [row.error_code, row.error_msg].filter(Boolean).join(": ") || "–"],
        ["Reason", told(row.reason)],
        ["Task", h(Link, { asChild: true, ...LINK }, h(RouterLink, { to: taskUrl(row) }, `${row.task_id} (${told(row.state)})`))],
      ] }),
      h(Heading, { size: "sm", mt: 4 }, "Timeline"),
      h(Pairs, { rows: row.timeline.map(([at, what]) => [time(at), what]) }),
      guards.length ? h(Heading, { size: "sm", mt: 4 }, "Guards") : null,
      h(Pairs, { rows: guards.map((guard) =>
        [guard.name, `${told(guard.value)}, must be ${told(guard.limit)}: ${guard.ok ? "holds" : "does not hold"}`]) }),
      h(Box, { as: "details", mt: 4 },
        h("summary", null, "Evidence"),
        h(Box, { as: "pre", fontSize: "xs", overflowX: "auto" }, JSON.stringify(row.evidence, null, 2))));
  };

  const COLUMNS = ["Outcome", "Job", "Mode", "Serves", "DAG run", "Began", "Started by", "Approved by", "Course", "Lag",
                   "Downtime", "Code and reason"];
  const Line = ({ row, open, toggle }) => {
    const cells = [
      h(Outcome, { row }),
      h(Link, { as: "button", type: "button", "aria-expanded": open, onClick: toggle, textAlign: "left",
                overflowWrap: "anywhere", ...LINK }, told(row.job_id)),
      told(row.mode),
      row.serves ? h(Box, { title: serves(row) }, row.serves, h(Text, { color: "fg.muted", fontSize: "xs" }, `witness, ${time(row.serves_at)}`)) : "–",
      h(Link, { asChild: true, ...LINK }, h(RouterLink, { to: runUrl(row) }, `${row.dag_id} / ${row.run_id}`)),
      time(row.guarded_at || row.posted_at), told(row.started_by), told(approvals(row)), h(Bar, { row }),
      told(row.lag_seconds, " s"), told(row.downtime_seconds, " s"),
      [row.error_code, row.error_msg || row.reason].filter(Boolean).join(": "),
    ];
    return h(Table.Row, { "data-testid": "row" },
      cells.map((cell, i) =>
        // A word such as a mode stays whole, an id may be broken.
        h(Table.Cell, { key: i, verticalAlign: "top", overflowWrap: [1, 4, 11].includes(i) ? "anywhere" : "normal" }, cell)));
  };

  const Cutovers = ({ dagId, runId }) => {
    const [search, setSearch] = useSearchParams();
    const [data, setData] = useState(null);
    const [error, setError] = useState(null);
    const offset = Number(search.get("offset") || 0);
    const query = Object.fromEntries(FILTERS.map((name) => [name, search.get(name) || ""]));
    if (dagId) query.dag_id = dagId;
    if (runId) query.run_id = runId;
    const asked = JSON.stringify({ ...query, offset });

    const load = useCallback(async (signal) => {
      try {
        const response = await fetch(address("cutovers", { ...query, limit: PAGE, offset }), { signal });
        if (response.status === 401) throw new Error("You are not logged in to Airflow. Log in, then load this page again.");
        if (response.status === 403) throw new Error("You may not read the XComs of any DAG. Ask an administrator of this Airflow.");
        if (!response.ok) throw new Error(`Airflow's API server responded with HTTP ${response.status}. Its log has the reason.`);
        setData(await response.json());
        setError(null);
      } catch (failure) {
        if (failure.name !== "AbortError") setError(failure.message);
      }
    }, [asked]);
    useEffect(() => {
      const control = new AbortController();
      load(control.signal);
      return () => control.abort();
    }, [load]);
    const running = data ? data.running : 0;
    useEffect(() => {
      if (!running) return undefined;
      const control = new AbortController();
      const timer = setInterval(() => document.hidden || load(control.signal), REFRESH);
      return () => { clearInterval(timer); control.abort(); };
    }, [load, running]);

    const put = (changes) => {
      const next = new URLSearchParams(search);
      Object.entries({ offset: "", ...changes }).forEach(([key, value]) => (value ? next.set(key, value) : next.delete(key)));
      setSearch(next, { replace: true });
    };
    const file = (format) =>
      h(Link, { key: format, ...LINK, href: address("export", { ...query, format }).href, download: `drs-cutovers.${format}` }, format);
    const rows = data ? data.rows : [];
    const selected = rows.find((row) => idOf(row) === search.get("open"));
    const dags = data ? data.dag_ids : [];
    const outcomes = data ? data.outcomes : {};
    // One click shows what is looked for first.
    const count = (value, text) =>
      h(Box, { as: "button", type: "button", key: text, "aria-pressed": query.outcome === value, ...INPUT, minWidth: "auto",
               fontSize: "sm", fontWeight: query.outcome === value ? "bold" : "normal",
               onClick: () => put({ outcome: query.outcome === value ? "" : value }) }, text);

    return h(Box, { p: 4, overflow: "auto", height: "100%" },
      h(Heading, { size: "lg" }, "DRS cutovers"),
      h(Text, { color: "fg.muted", role: "status", "aria-live": "polite" },
        data ? `${data.total} switchover${data.total === 1 ? "" : "s"}` : "Loading"),
      data ? h(Box, { role: "group", "aria-label": "Show only", display: "flex", gap: 2, flexWrap: "wrap", my: 2 },
        count("person", `${data.needs_person} need a person`), count("running", `${data.running} running`),
        count("failed", `${outcomes.failed || 0} failed`)) : null,
      error ? h(Box, { role: "alert", borderWidth: "1px", borderColor: "border.error", color: "fg.error", p: 3, my: 3 }, error) : null,
      h(Box, { as: "form", "aria-label": "Filter", display: "flex", gap: 3, flexWrap: "wrap", my: 3, alignItems: "end",
               onSubmit: (event) => event.preventDefault() },
        h(Field, { label: "Outcome" }, h(Select, { value: query.outcome, onChange: (e) => put({ outcome: e.target.value }),
          options: [["", "all"], ["person", "needs a person"], ["running", "running"], ...Object.keys(outcomes).map((x) => [x, x])] })),
        h(Field, { label: "Job" }, h(Input, { value: query.job_id, onChange: (e) => put({ job_id: e.target.value }) })),
        dagId ? null : h(Field, { label: "DAG" }, h(Select, { value: query.dag_id, onChange: (e) => put({ dag_id: e.target.value }),
          options: [["", "all"], ...dags.map((x) => [x, x])] })),
        h(Field, { label: "From (UTC)" }, h(Input, { type: "date", value: query.since, onChange: (e) => put({ since: e.target.value }) })),
        h(Field, { label: "Until (UTC)" }, h(Input, { type: "date", value: query.until, onChange: (e) => put({ until: e.target.value }) })),
        h(Box, { display: "flex", gap: 2 }, h(Text, { color: "fg.muted" }, "Export:"), ["json", "csv", "md"].map(file))),
      selected ? h(Detail, { row: selected, close: () => put({ open: "", offset: String(offset || "") }) }) : null,
      data && !rows.length && !error
        ? h(Text, { my: 6 }, "No switchover fits. A task of DrsSwitchoverOperator appears here from its first second on.")
        : h(Table.Root, { size: "sm", stickyHeader: true, "aria-label": "Switchovers" },
            h(Table.Header, null, h(Table.Row, null, COLUMNS.map((name) => h(Table.ColumnHeader, { key: name, scope: "col" }, name)))),
            h(Table.Body, null, rows.map((row) => h(Line, { key: idOf(row), row, open: row === selected,
              toggle: () => put({ open: row === selected ? "" : idOf(row), offset: String(offset || "") }) })))),
      data && data.total > PAGE
        ? h(Box, { display: "flex", gap: 3, my: 3 },
            h(Box, { as: "button", type: "button", disabled: !offset, ...INPUT, minWidth: "auto",
                     onClick: () => put({ offset: String(Math.max(offset - PAGE, 0) || "") }) }, "Newer"),
            h(Text, null, `${offset + 1} to ${offset + rows.length} of ${data.total}`),
            h(Box, { as: "button", type: "button", disabled: offset + PAGE >= data.total, ...INPUT, minWidth: "auto",
                     onClick: () => put({ offset: String(offset + PAGE) }) }, "Older"))
        : null);
  };

  globalThis["DRS cutovers"] = Cutovers;
  globalThis.AirflowPlugin = Cutovers;
})();
