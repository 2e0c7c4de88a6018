using System.Diagnostics;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Storage;
using Kcore.Daemon.Tests.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Cluster.Members;

/// <summary>Whom the end of a job wakes.</summary>
public sealed class GossipWriterTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly GossipJob Job = new(null, new CatalogBatch(), ["192.0.2.1:7946"]);
    private readonly TestDatabase _test = new();
    private readonly SemaphoreSlim _woken = new(0);
    private readonly GossipWriter _writer;

    public GossipWriterTests()
    {
        NodeIdentity identity = NodeIdentity.Load(new MetaStore(_test.Database), "machine-1", NullLogger.Instance);
        _writer = new GossipWriter(new CatalogStore(_test.Database), identity, () => _woken.Release(), NullLogger.Instance);
    }

    [Fact]
    public async Task The_end_of_a_job_that_is_waited_for_wakes()
    {
        _writer.Begin(Job, isAwaited: true);
        Assert.True(await _woken.WaitAsync(Patience));
        Assert.True(_writer.TryTakeOutcome(out StorageException? failure));
        Assert.Null(failure);
    }

    [Fact]
    public async Task The_end_of_a_job_that_nobody_waits_for_wakes_nobody_and_can_be_taken_at_any_time()
    {
        _writer.Begin(Job, isAwaited: false);
        long begun = Stopwatch.GetTimestamp();
        while (!_writer.TryTakeOutcome(out _))
        {
            Assert.True(Stopwatch.GetElapsedTime(begun) < Patience);
            await Task.Yield();
        }

        // The next job ends after all that the last one had to say.
        _writer.Begin(Job, isAwaited: true);
        Assert.True(await _woken.WaitAsync(Patience));
        Assert.Equal(0, _woken.CurrentCount);
    }

    [Fact]
    public async Task Who_begins_to_wait_for_a_job_under_way_is_woken_whether_it_has_ended_or_not()
    {
        for (int i = 0; i < 200; i++)
        {
            _writer.Begin(Job, isAwaited: false);
            Thread.SpinWait(i * 100);
            _writer.Expect(isUrgent: i % 2 == 0);
            Assert.True(await _woken.WaitAsync(Patience), $"round {i}");
            while (!_writer.TryTakeOutcome(out _))
            {
                await Task.Yield();
            }

            while (_woken.CurrentCount > 0)
            {
                await _woken.WaitAsync();
            }
        }
    }

    [Fact]
    public async Task A_disk_that_refuses_wakes_though_nobody_waits()
    {
        _test.Database.Read(c => SqlStatement.Query(c, "PRAGMA query_only=1", _ => 0));
        _writer.Begin(Job, isAwaited: false);
        Assert.True(await _woken.WaitAsync(Patience));
        Assert.True(_writer.TryTakeOutcome(out StorageException? failure));
        Assert.NotNull(failure);
    }

    public void Dispose()
    {
        _writer.Dispose();
        _woken.Dispose();
        _test.Dispose();
    }
}
