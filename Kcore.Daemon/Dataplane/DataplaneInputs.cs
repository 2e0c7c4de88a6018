using System.Threading.Channels;
using Kcore.Daemon.Dataplane.Desired;

namespace Kcore.Daemon.Dataplane;

/// <summary>What has happened since the loop last looked. Facts of the same kind fold into one, so it is bounded.</summary>
/// <param name="Intent">The newest intent, if it changed.</param>
/// <param name="FirstNotification">Timestamp of the first kernel notification, if there was one.</param>
/// <param name="Forwarding">Devices whose forwarding entries changed; null when the notifications were about more than that.</param>
/// <param name="NftChanged">Our tables may have changed.</param>
/// <param name="Changer">The program that changed our tables last, if it was not us.</param>
/// <param name="ForeignChanged">Other people's tables changed.</param>
/// <param name="Everything">Notifications were lost, or a pass was asked for.</param>
internal sealed record InputSnapshot(
    DataplaneIntent? Intent,
    long? FirstNotification,
    IReadOnlyCollection<int>? Forwarding,
    bool NftChanged,
    string? Changer,
    bool ForeignChanged,
    bool Everything,
    IReadOnlyList<TaskCompletionSource<PlanReport>> PlanRequests)
{
    /// <summary>Asking for a plan alone must write nothing.</summary>
    public bool CallsForPass => Intent is not null || FirstNotification is not null || Everything;
}

/// <summary>Where everybody leaves what the loop should know; only the loop takes.</summary>
internal sealed class DataplaneInputs
{
    private const int PlanRequestsMax = 64;

    /// <summary>Devices that are remembered one by one.</summary>
    private const int ForwardingMax = 32;

    private readonly Lock _lock = new();

    // A second wake-up adds nothing to one that waits already.
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private DataplaneIntent? _intent;
    private long? _firstNotification;
    private bool _onlyForwarding = true;
    private HashSet<int> _forwarding = [];
    private bool _nftChanged;
    private string? _changer;
    private bool _foreignChanged;
    private bool _everything;
    private List<TaskCompletionSource<PlanReport>> _planRequests = [];

    public void Intend(DataplaneIntent intent) => Put(() => _intent = intent);

    public void Notify(long timestamp) => Put(() =>
    {
        _firstNotification ??= timestamp;
        _onlyForwarding = false;
    });

    /// <summary>Nothing but the forwarding entries of a device changed.</summary>
    public void NotifyForwarding(long timestamp, int linkIndex) => Put(() =>
    {
        _firstNotification ??= timestamp;
        if (_onlyForwarding)
        {
            _forwarding.Add(linkIndex);
            _onlyForwarding = _forwarding.Count <= ForwardingMax;
        }
    });

    /// <param name="changer">The program that changed our tables; null when it was us.</param>
    public void NotifyNft(long timestamp, string? changer) => Put(() =>
    {
        _firstNotification ??= timestamp;
        _onlyForwarding = false;
        _nftChanged = true;
        _changer = changer ?? _changer;
    });

    public void NoteForeign() => Put(() => _foreignChanged = true);

    public void LookAtEverything() => Put(() => _everything = true);

    /// <exception cref="DataplaneException">Too many are waiting already.</exception>
    public Task<PlanReport> AskForPlan()
    {
        TaskCompletionSource<PlanReport> request = new(TaskCreationOptions.RunContinuationsAsynchronously);
        bool taken = false;
        Put(() =>
        {
            taken = _planRequests.Count < PlanRequestsMax;
            if (taken)
            {
                _planRequests.Add(request);
            }
        });
        return taken ? request.Task : throw new DataplaneException("too many plans are being asked for");
    }

    /// <summary>Waits for something to happen; false when nothing did within the time.</summary>
    public async Task<bool> WaitAsync(TimeSpan longest, TimeProvider time, CancellationToken cancellationToken)
    {
        using CancellationTokenSource deadline = new(longest > TimeSpan.Zero ? longest : TimeSpan.Zero, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            await _wake.Reader.ReadAsync(either.Token);
            return true;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    public InputSnapshot Take()
    {
        lock (_lock)
        {
            InputSnapshot snapshot = new(_intent, _firstNotification, _onlyForwarding ? _forwarding : null, _nftChanged, _changer, _foreignChanged, _everything, _planRequests);
            (_onlyForwarding, _forwarding) = (true, []);
            (_intent, _firstNotification, _nftChanged, _changer, _foreignChanged, _everything, _planRequests) = (null, null, false, null, false, false, []);
            return snapshot;
        }
    }

    private void Put(Action change)
    {
        lock (_lock)
        {
            change();
        }

        _wake.Writer.TryWrite(true);
    }
}
