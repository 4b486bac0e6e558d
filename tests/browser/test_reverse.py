"""The Reverse tab: a network walks noise back to data while somebody watches."""

from ddpm_core.samplers.registry import OPTIONS

QUICK = "?tab=reverse&sampler=ddim&steps=20&n=200"


def test_the_network_walks_back_to_the_data(visit):
    """No button is needed: the walk starts, ends at t = 0 on the data, and each number has its range."""
    lab = visit("?tab=reverse&steps=200&n=1000", stage="reverse")
    lab.finished()
    assert lab.page.locator("#reverse-stage .lab-badge").inner_text() == "learned"
    assert lab.stage("reverse", "s.header.metrics.map(m => m.name)") == ["excess_nll", "sliced_w2", "outlier_share"]
    row = lab.page.locator("#reverse-stage .lab-metrics").inner_text()
    assert row.count("perfect") == 3
    assert row.count("n = 1000") == 3
    sliced = lab.stage("reverse", "s.header.metrics[1]")
    assert sliced["value"] < 2 * sliced["floor"]
    lab.page.keyboard.press("End")
    lab.until("reverse", "s.clock.t === 200 && s.idle")
    assert lab.page.locator("#reverse-stage [data-number=nfe]").inner_text() == "1"
    lab.page.keyboard.press("Home")
    lab.until("reverse", "s.clock.t === 0 && s.idle")
    assert lab.page.locator("#reverse-stage [data-number=nfe]").inner_text() == "200"
    assert (
        "CPU" in lab.page.locator(".lab-device").inner_text() or "CUDA" in lab.page.locator(".lab-device").inner_text()
    )


def test_a_negative_excess_is_said_to_be_no_merit(visit):
    """Fifty steps with the small variance concentrate the samples where the density is highest."""
    lab = visit("?tab=reverse&steps=50&n=1000", stage="reverse", ready="s.header.done")
    assert lab.stage("reverse", "s.header.metrics[0].value") < -0.1
    excess, sliced, _ = lab.page.locator("#reverse-stage .lab-metrics > *").all_inner_texts()
    assert "more concentrated than the data" in excess and "concentrated" not in sliced


CONTROLS = {
    "data": lambda lab: lab.choose("reverse-data", "Eight Gaussians"),
    "denoiser": lambda lab: lab.choose("reverse-denoiser", "Exact"),
    "eta": lambda lab: lab.number("reverse-eta", 1),
    "steps": lambda lab: lab.number("reverse-steps", 10),
    "sampler": lambda lab: lab.choose("reverse-sampler", "Euler on the velocity"),
    "T": lambda lab: (lab.more("reverse"), lab.number("reverse-T", 500)),
    "beta_min": lambda lab: lab.number("reverse-beta_min", 0.001),
    "beta_max": lambda lab: lab.number("reverse-beta_max", 0.03),
    "spacing": lambda lab: lab.choose("reverse-spacing", "uniform in λ"),
    "schedule": lambda lab: lab.choose("reverse-schedule", "Flow matching"),
    "n": lambda lab: lab.number("reverse-n", 300),
    "seed": lambda lab: lab.number("reverse-seed", 9),
}


def test_every_control_changes_the_walk(visit):
    """One after another: the samples are others, and the link says why."""
    lab = visit(QUICK, stage="reverse", ready="s.header.done")
    for control, act in CONTROLS.items():
        before = lab.positions("reverse", 0)
        lab.changed("reverse", lambda act=act: act(lab))
        assert lab.positions("reverse", 0) != before, control
        lab.page.wait_for_function("control => location.search.includes(`${control}=`)", arg=control)


OWN = {  # of each sampler: a control that no other has
    "EDM, stochastic": lambda lab: lab.number("reverse-churn", 20),
    "Langevin predictor–corrector": lambda lab: lab.number("reverse-correction", 0.4),
    "Adaptive (Bogacki–Shampine)": lambda lab: lab.number("reverse-tolerance", 0.05),
    "ParaDiGMS (parallel in time)": lambda lab: lab.number("reverse-sweeps", 2),
    "DDIM": lambda lab: lab.number("reverse-eta", 0.5),
    "DDPM": lambda lab: lab.choose("reverse-variance", "beta"),
}
OWN_FIELDS = ("churn", "correction", "tolerance", "sweeps", "eta", "variance")


def test_every_sampler_has_its_own_controls_and_no_others(visit):
    lab = visit(QUICK.replace("ddim", "heun"), stage="reverse")

    def expect_only(own: str | None) -> None:
        for field in OPTIONS:
            lab.page.locator(f"#reverse-{field}").wait_for(state="visible" if field == own else "hidden")

    expect_only(None)
    for (sampler, act), own in zip(OWN.items(), OWN_FIELDS, strict=True):
        lab.changed("reverse", lambda sampler=sampler: lab.choose("reverse-sampler", sampler))
        expect_only(own)
        before = lab.positions("reverse", 0)
        lab.changed("reverse", lambda act=act: act(lab))
        assert lab.positions("reverse", 0) != before, sampler


def test_the_optimal_variance_asks_for_the_exact_denoiser(visit):
    lab = visit("?tab=reverse&steps=20&n=200", stage="reverse")
    lab.finished()
    lab.choose("reverse-variance", "optimal (exact denoiser only)")
    lab.page.locator("#reverse-note").get_by_text("optimal needs the exact denoiser").wait_for()
    lab.changed("reverse", lambda: lab.choose("reverse-denoiser", "Exact"), "s.header.badge === 'exact'")


def test_rescale_mends_a_short_unscaled_schedule(visit):
    lab = visit(QUICK + "&T=50", stage="reverse")
    lab.finished()
    assert "alpha_bar_T = 0.603" in lab.page.locator("#reverse-note").inner_text()
    lab.more("reverse")
    lab.changed("reverse", lambda: lab.check("reverse-rescale"), "s.header.alpha.at(-1) < .05")
    lab.page.locator("#reverse-note").wait_for(state="hidden")


def test_a_network_that_is_gone_can_be_left_for_another(visit):
    """The link of a training that this server has forgotten says so; from there the film strip comes back as well."""
    lab = visit(
        f"{QUICK}&denoiser=run.{'a' * 16}",
        stage="reverse",
        ready="s.element.innerText.includes('not on this')",
        fresh=True,
    )
    lab.page.locator("#reverse-film-chart .lab-caption").get_by_text("not on this server").wait_for()
    lab.errors = [error for error in lab.errors if "status of 400" not in error]
    lab.changed("reverse", lambda: lab.choose("reverse-denoiser", "Trained network"))
    lab.drawn("reverse-film")


def test_the_exact_denoiser_is_badged_exact(visit):
    lab = visit(QUICK + "&denoiser=exact", stage="reverse")
    lab.finished()
    assert lab.page.locator("#reverse-stage .lab-badge").inner_text() == "exact"


def test_new_noise_is_one_button_and_a_new_link(visit):
    lab = visit(QUICK, stage="reverse")
    lab.finished()
    before = lab.positions("reverse", 20)
    lab.changed("reverse", lambda: lab.page.locator("#reverse-run").click())
    lab.finished()
    assert lab.positions("reverse", 20) != before
    assert "seed=1" in lab.page.url


def test_same_particles_start_every_sampler(visit):
    """Particle i starts from the same noise whatever the sampler and the number of steps, in the same colour."""
    lab = visit(QUICK, stage="reverse")
    lab.finished()
    start, colours = lab.positions("reverse", 20), lab.stage("reverse", "s.gd.data.at(-1).marker.color")
    lab.changed("reverse", lambda: lab.choose("reverse-sampler", "DDPM"))
    lab.changed("reverse", lambda: lab.number("reverse-steps", 15))
    lab.finished()
    assert lab.positions("reverse", 15) == start
    assert lab.stage("reverse", "s.gd.data.at(-1).marker.color") == colours


def test_stop_ends_the_computation_and_keeps_what_there_is(visit):
    lab = visit("?tab=reverse&denoiser=exact&n=1000&T=2000&steps=2000", stage="reverse")
    lab.page.locator("#reverse-stage [data-do=stop]").click()
    lab.page.locator("#reverse-stage .lab-message").wait_for(state="visible")
    assert "Stopped" in lab.page.locator("#reverse-stage .lab-message").inner_text()
    assert not lab.stage("reverse", "s.header.done")
    assert lab.stage("reverse", "s.positions(s.clock.t).length") == 2000


LAYERS = {"data": 1, "x0": 1, "trails": 40}  # traces that each adds at rest


def test_layers_can_be_seen_and_linked(visit):
    """One after the other, each in the address; then all of them from a link."""
    lab = visit(QUICK + "&layers=", stage="reverse", fresh=True)
    lab.finished()
    drawn, on = 1, []
    assert lab.stage("reverse", "s.gd.data.length") == drawn
    for layer, traces in LAYERS.items():
        lab.page.locator(f"#reverse-stage [data-layer={layer}]").click()
        drawn, on = drawn + traces, [*on, layer]
        lab.until("reverse", f"s.idle && s.gd.data.length === {drawn}")
        said = "" if on == ["data"] else f"layers={','.join(on)}"  # the data alone are the default
        shown = "said => said ? location.search.endsWith(said) : !location.search.includes('layers')"
        lab.page.wait_for_function(shown, arg=said)
    again = visit(lab.page.url.removeprefix(lab.address + "/"), stage="reverse", fresh=True)
    again.finished()
    assert again.stage("reverse", "s.gd.data.length") == drawn


def test_film_strip_of_the_walk(visit):
    lab = visit(QUICK, stage="reverse")
    lab.drawn("reverse-film")
    traces = lab.page.evaluate("lab.charts['reverse-film'].gd.data.map(trace => trace.type)")
    assert set(traces) == {"scatter"} and len(traces) >= 3
