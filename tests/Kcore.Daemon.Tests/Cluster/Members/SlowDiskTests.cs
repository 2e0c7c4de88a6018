using Kcore.Daemon.Storage;
using Kcore.Gossip;

namespace Kcore.Daemon.Tests.Cluster.Members;

/// <summary>The gossip loop and its disk: probes never wait for it, own facts always do.</summary>
public sealed class SlowDiskTests
{
    [Fact]
    public async Task A_disk_that_hangs_keeps_own_facts_back_and_nothing_else()
    {
        await using var pair = new GossipPair();
        await pair.MeetAsync();
        await pair.A.PutAsync("before");
        await pair.B.SeesAsync(_ => pair.B.Shows(pair.A.Id, "before"));

        Task put;
        using (pair.A.HangDisk())
        {
            put = pair.A.PutAsync("late");

            // B's facts come in meanwhile, and what A answers keeps it alive: longer than it takes to bury somebody.
            await pair.B.PutAsync("other");
            await pair.A.SeesAsync(_ => pair.A.Shows(pair.B.Id, "other"));
            pair.B.Heard.Statuses.Clear();
            await Task.Delay(TimeSpan.FromSeconds(5));

            Assert.DoesNotContain(MemberStatus.Dead, pair.B.Heard.Statuses);
            Assert.False(put.IsCompleted);
            Assert.False(pair.B.Shows(pair.A.Id, "late"), "B was told of a fact that is not on A's disk");
            Assert.False(pair.A.Shows(pair.A.Id, "late"), "A acts on a fact of its own that is not on its disk");
        }

        await put;
        Assert.True(pair.A.Shows(pair.A.Id, "late"));
        await pair.B.SeesAsync(_ => pair.B.Shows(pair.A.Id, "late"));
        Assert.Equal(2UL, pair.A.StoredVersion());
    }

    [Fact]
    public async Task A_full_disk_fails_the_caller_not_the_cluster_and_the_rows_are_stored_when_there_is_room()
    {
        await using var pair = new GossipPair();
        await pair.MeetAsync();
        await pair.A.PutAsync("before");
        pair.A.Database.Read(c => SqlStatement.Query(c, "PRAGMA max_page_count=1", r => r.GetInt64(0)));
        byte[] large = new byte[1000];
        for (int i = 0; i < 100; i++)
        {
            // The pages there are take a few rows more.
            Task put = pair.A.Loop.SubmitAsync(new GossipInput.Put([new LocalWrite($"row{i}", 10, large)]), CancellationToken.None);
            if (await Record.ExceptionAsync(() => put) is { } refused)
            {
                Assert.IsType<StorageException>(refused);
                await pair.B.SeesAsync(_ => pair.B.Shows(pair.A.Id, $"row{i}"));
                Assert.False(pair.A.Heard.Works);
                pair.A.Database.Read(c => SqlStatement.Query(c, "PRAGMA max_page_count=100000", r => r.GetInt64(0)));
                await pair.A.PutAsync("after");
                Assert.Equal((ulong)i + 3, pair.A.StoredVersion());
                Assert.True(pair.A.Heard.Works);
                return;
            }
        }

        Assert.Fail("the disk was never full");
    }

    [Fact]
    public async Task Whatever_a_peer_has_seen_was_on_the_disk_before()
    {
        await using var pair = new GossipPair();
        await pair.MeetAsync();
        using CancellationTokenSource stop = new(TimeSpan.FromSeconds(4));
        Task writing = WriteAsync(pair.A, stop.Token);
        int looks = 0;
        while (!stop.IsCancellationRequested)
        {
            // Read in this order: what B has by now must be on A's disk by now.
            ulong seen = pair.B.View.Current.Entries.Where(e => e.Origin == pair.A.Id).Select(e => e.Version).DefaultIfEmpty().Max();
            ulong stored = pair.A.StoredVersion();
            Assert.True(seen <= stored, $"B knows version {seen}, the disk of A {stored}");
            looks++;
            await Task.Yield();
        }

        await writing;
        Assert.True(looks > 10 && pair.A.StoredVersion() > 10, $"{looks} looks at {pair.A.StoredVersion()} versions prove little");
    }

    [Fact]
    public async Task What_was_taken_in_by_the_end_is_stored_before_the_loop_ends()
    {
        var pair = new GossipPair();
        await using (pair.ConfigureAwait(false))
        {
            await pair.MeetAsync();
            await pair.B.PutAsync("theirs");
            await pair.A.SeesAsync(_ => pair.A.Shows(pair.B.Id, "theirs"));
            await pair.StopAsync();

            Assert.Contains(new CatalogStore(pair.A.Database).Load().Entries, e => e.Origin == pair.B.Id && e.Key == "theirs");
        }
    }

    private static async Task WriteAsync(GossipPair.Side side, CancellationToken token)
    {
        for (int i = 0; !token.IsCancellationRequested; i++)
        {
            await side.PutAsync($"key{i % 50}-{i}");
        }
    }
}
