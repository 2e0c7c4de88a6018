using System.Collections.Frozen;
using System.Collections.Immutable;
using Kcore.Daemon.Dataplane.Apply;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Daemon.Dataplane.Plan;

namespace Kcore.Daemon.Dataplane;

/// <summary>
/// Look, plan, apply, and look again until nothing is left to do. Remembers what our tables looked like, because
/// reading them may start a process.
/// </summary>
internal sealed class DataplanePass(KernelReader reader, StepExecutor executor, RulesetReader rulesets)
{
    /// <summary>One is the rule; more are needed when a stranger acts in between or a device was reset by its new bridge.</summary>
    private const int RoundsMax = 4;

    private readonly SettledForwarding _settled = new();
    private bool _nftKnown;
    private NftTables? _nft;
    private ForeignRuleset _foreign = ForeignRuleset.Empty;
    private string? _foreignError;

    // How the last pass ended, and what for, if it left nothing to do and nothing undone.
    private (DesiredState For, PassResult Result)? _clean;

    /// <param name="readNft">Our tables may have changed since the last pass.</param>
    /// <param name="readForeign">Other people's tables may have changed.</param>
    /// <param name="allowedAt">When a step may be made; what is not allowed yet is left for later.</param>
    /// <param name="only">Not null: nothing but the forwarding entries of these devices can have changed since the last pass.</param>
    /// <param name="made">Hears of each step when it was made or tried, before the next round asks what is allowed.</param>
    public async Task<PassResult> RunAsync(
        DesiredState desired,
        bool readNft,
        bool readForeign,
        Func<DataplaneStep, TimeSpan> allowedAt,
        Action<StepResult> made,
        TimeSpan now,
        CancellationToken cancellationToken,
        IReadOnlyCollection<int>? only = null)
    {
        if (only is not null && !readNft && !readForeign && await MendAsync(desired, only, allowedAt, made, now, cancellationToken) is { } mended)
        {
            return mended;
        }

        _clean = null;
        string? nftError = await RefreshNftAsync(readNft, cancellationToken);
        if (readForeign)
        {
            await RefreshForeignAsync(cancellationToken);
        }

        List<StepResult> failures = [];
        TimeSpan? nextAllowed = null;
        for (int round = 1; ; round++)
        {
            NftTables? tables = nftError is null ? _nft : desired.NftWithout(ImmutableHashSet<string>.Empty);
            ObservedState observed = _settled.Mark(desired, only is null ? reader.Read(desired, tables) : reader.ReadAgain(desired, tables, only));
            DataplanePlan plan = Planner.Plan(desired, observed);
            _settled.Note(desired, observed, plan);
            ILookup<bool, DataplaneStep> steps = plan.Steps.ToLookup(s => allowedAt(s) <= now);
            foreach (DataplaneStep later in steps[false])
            {
                TimeSpan at = allowedAt(later);
                nextAllowed = nextAllowed is { } other && other < at ? other : at;
            }

            DataplanePlan allowed = plan with { Steps = [.. steps[true]] };
            if (allowed.IsEmpty || round > RoundsMax)
            {
                PassResult result = new(plan, [.. failures], nftError, nextAllowed, Filter(desired, observed, plan), nftError is null ? _nft : null)
                {
                    Blocks = ForeignFirewall.Blocks(_foreign, nftError is null ? _nft : null, observed.BridgedFramesPassFirewall),
                    ForeignError = _foreignError,
                };
                _clean = plan is { IsEmpty: true, HeldBack.IsEmpty: true, Refusals.IsEmpty: true } && failures.Count == 0 && nftError is null ? (desired, result) : null;
                return result;
            }

            List<StepResult> results = await executor.ApplyAsync(allowed, observed, cancellationToken);
            results.ForEach(made);
            failures = [.. results.Where(r => r.Error is not null)];
            if (!results.TrueForAll(r => IsForwarding(r.Step, only ?? [], observed)))
            {
                only = null;
            }

            if (results.Exists(r => r.Step is DataplaneStep.ReplaceNft))
            {
                nftError = await RefreshNftAsync(read: true, cancellationToken);
            }

            if (failures.Count == results.Count)
            {
                // Nothing moved, so another round would fail the same way.
                round = RoundsMax;
            }
        }
    }

    /// <summary>
    /// For when everything was right and nothing but entries of these devices can have changed: reads, compares and repairs these alone.
    /// Null when that does not make it right; what it made until then shows to the look at everything that has to follow.
    /// </summary>
    private async Task<PassResult?> MendAsync(
        DesiredState desired, IReadOnlyCollection<int> links, Func<DataplaneStep, TimeSpan> allowedAt, Action<StepResult> made, TimeSpan now, CancellationToken cancellationToken)
    {
        for (int round = 1; round <= RoundsMax && _clean is { } clean && ReferenceEquals(clean.For, desired); round++)
        {
            if (reader.Look(desired, links) is not { } look || ForwardingSlice.Plan(desired, look.Last, look.Looked) is not { } plan || !plan.HeldBack.IsEmpty)
            {
                return null;
            }

            if (plan.IsEmpty)
            {
                return clean.Result;
            }

            if (plan.Steps.Any(s => allowedAt(s) > now || !IsForwarding(s)))
            {
                return null;
            }

            List<StepResult> results = await executor.ApplyAsync(plan, look.Last, cancellationToken);
            results.ForEach(made);
            if (results.Exists(r => r.Error is not null))
            {
                return null;
            }
        }

        return null;
    }

    /// <summary>A fresh look, and what would be done.</summary>
    /// <exception cref="DataplaneException">Our tables cannot be read.</exception>
    public async Task<DataplanePlan> PlanAsync(DesiredState desired, CancellationToken cancellationToken) =>
        await RefreshNftAsync(read: true, cancellationToken) is { } error
            ? throw new DataplaneException(error)
            : Planner.Plan(desired, reader.Read(desired, _nft));

    /// <summary>What the step does shows where the next round looks.</summary>
    private static bool IsForwarding(DataplaneStep step, IReadOnlyCollection<int> looked, ObservedState observed) =>
        IsForwarding(step)
        && observed.Indexes.TryGetValue(step.Device, out int index) && looked.Contains(index);

    private static bool IsForwarding(DataplaneStep step) =>
        step is DataplaneStep.AddFlood or DataplaneStep.SetRemoteMac or DataplaneStep.DeleteTunnelEntry or DataplaneStep.SetBridgeEntry or DataplaneStep.DeleteBridgeEntry;

    /// <summary>Returns why our tables cannot be read; devices and entries are kept right all the same.</summary>
    private async Task<string?> RefreshNftAsync(bool read, CancellationToken cancellationToken)
    {
        if (_nftKnown && !read)
        {
            return null;
        }

        try
        {
            _nft = await rulesets.ReadAsync(cancellationToken);
            _nftKnown = true;
            return null;
        }
        catch (DataplaneException e)
        {
            _nftKnown = false;
            return e.Message;
        }
    }

    /// <summary>What cannot be read is said; what was read last still stands.</summary>
    private async Task RefreshForeignAsync(CancellationToken cancellationToken)
    {
        try
        {
            _foreign = await rulesets.ReadForeignAsync(cancellationToken);
            _foreignError = rulesets.ReadLegacyTables() is { Length: > 0 } legacy
                ? $"iptables-legacy has rules ({legacy}), which are not looked at: iptables-legacy -S shows them"
                : null;
        }
        catch (DataplaneException e)
        {
            _foreignError = $"other people's firewall rules cannot be read: {e.Message}";
        }
    }

    private static ChangeFilter Filter(DesiredState desired, ObservedState observed, DataplanePlan plan) => new(
        observed.Owned.Links.Select(l => observed.Indexes[l.Name]).ToFrozenSet(),
        desired.Links.Select(l => l.Value.Name)
            .Concat(desired.Uplinks.Select(u => u.Value.Device))
            .Concat(observed.Owned.Links.Select(l => l.Name))
            .ToFrozenSet(StringComparer.Ordinal),
        !plan.Refusals.IsEmpty)
    {
        Networks = AddressRoutes.Destinations(observed.Owned.Addresses).ToFrozenSet(),
        Learning = [.. desired.Ports.Where(p => p.Value.Learning && observed.Indexes.ContainsKey(p.Value.Device)).Select(p => observed.Indexes[p.Value.Device])],
    };
}

/// <summary>How a pass ended.</summary>
/// <param name="Plan">What is still to do after it; empty when all is well.</param>
/// <param name="Failures">Those of the last round that failed.</param>
/// <param name="NftError">Why our tables could not be read.</param>
/// <param name="NextAllowed">When the first step that had to wait may be made.</param>
/// <param name="Nft">Our tables as last read; null when they cannot be.</param>
internal sealed record PassResult(
    DataplanePlan Plan,
    ImmutableArray<StepResult> Failures,
    string? NftError,
    TimeSpan? NextAllowed,
    ChangeFilter Filter,
    NftTables? Nft)
{
    /// <summary>Foreign rules that drop what we need, as of the last time they were read.</summary>
    public ImmutableArray<FirewallBlock> Blocks { get; init; } = [];

    public string? ForeignError { get; init; }

    /// <summary>Networks and NICs for which something could not be done.</summary>
    public FrozenSet<(string Overlay, string? Nic)> Unsettled =>
    [
        .. Plan.Refusals.Select(r => (r.Overlay, r.Nic)),
        .. Failures.Select(f => (f.Step.Origin.Overlay, f.Step.Origin.Nic)),
    ];

    public ReconcileStatus ToStatus(DataplaneIntent intent, DateTimeOffset at, TimeSpan took) => new(
        at,
        took,
        (intent.Self.VxlanDisabled ? [] : intent.Overlays.Select(o => (o.Name, o.LocalNics)))
            .Concat(intent.Locals.Select(n => (n.Name, n.LocalNics)))
            .DistinctBy(n => n.Name, StringComparer.Ordinal)
            .ToImmutableSortedDictionary(n => n.Name, n => Health(n.Name, n.LocalNics), StringComparer.Ordinal),
        null,
        Plan.HeldBack.Length,
        Plan.HeldBackReason,
        ForeignError is null ? Plan.Advisories : [.. Plan.Advisories, ForeignError])
    {
        Blocks = Blocks,
        Drops = [.. Drops(intent)],
    };

    private IEnumerable<GuestDrop> Drops(DataplaneIntent intent)
    {
        Dictionary<string, (string Network, string Nic)> ports = intent.Overlays.SelectMany(o => o.LocalNics.Select(n => (o.Name, Nic: n)))
            .Concat(intent.Locals.SelectMany(l => l.LocalNics.Select(n => (l.Name, Nic: n))))
            .DistinctBy(n => n.Nic.Device, StringComparer.Ordinal)
            .ToDictionary(n => n.Nic.Device, n => (n.Name, n.Nic.Name), StringComparer.Ordinal);
        return GuestGuard.Drops(Nft)
            .Where(d => ports.ContainsKey(d.Device))
            .Select(d => new GuestDrop(ports[d.Device].Network, ports[d.Device].Nic, d.Device, d.Reason, d.Count));
    }

    private NetworkHealth Health(string network, ImmutableArray<LocalNicIntent> nics)
    {
        string? failure = NftError
            ?? Plan.Refusals.FirstOrDefault(r => r.Overlay == network && r is { Nic: null, Blocks: true })?.Reason
            ?? Failures.FirstOrDefault(f => f.Step.Origin is { Nic: null } origin && (origin.Overlay == network || origin.Overlay.Length == 0))?.Error;
        return new NetworkHealth(
            failure,
            nics.DistinctBy(n => n.Name, StringComparer.Ordinal).ToImmutableSortedDictionary(
                n => n.Name,
                n => new NicHealth(
                    n.AttachmentId,
                    failure
                        ?? Plan.Refusals.FirstOrDefault(r => r.Overlay == network && r.Nic == n.Name)?.Reason
                        ?? Failures.FirstOrDefault(f => f.Step.Origin.Overlay == network && f.Step.Origin.Nic == n.Name)?.Error),
                StringComparer.Ordinal));
    }
}
