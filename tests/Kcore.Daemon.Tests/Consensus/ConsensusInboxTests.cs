using Kcore.Daemon.Cluster.Consensus;

namespace Kcore.Daemon.Tests.Consensus;

public sealed class ConsensusInboxTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public void Until_the_loop_has_begun_nobody_else_gets_the_turn()
    {
        var inbox = new ConsensusInbox<string>();
        Assert.True(inbox.TryAdd("early", mayWork: true, out bool isTurn));
        Assert.False(isTurn);
        Assert.True(inbox.TryTake(out string? item));
        Assert.Equal("early", item);
        Assert.True(inbox.TryEndTurn());
    }

    [Fact]
    public void Whoever_finds_the_loop_idle_works_and_the_others_leave_theirs_to_him()
    {
        ConsensusInbox<string> inbox = Idle();
        Assert.True(inbox.TryAdd("one", mayWork: true, out bool first));
        Assert.True(inbox.TryAdd("two", mayWork: true, out bool second));
        Assert.Equal((true, false), (first, second));
        Assert.True(inbox.TryTake(out _));
        Assert.False(inbox.TryEndTurn());
        Assert.True(inbox.TryTake(out string? item));
        Assert.Equal("two", item);
        Assert.True(inbox.TryEndTurn());
        Assert.True(inbox.TryAdd("three", mayWork: true, out bool third));
        Assert.True(third);
    }

    [Fact]
    public async Task Whoever_has_no_time_and_whoever_lent_himself_long_enough_wake_the_loops_own_thread()
    {
        ConsensusInbox<string> inbox = Idle();
        Task<bool> busy = Waiting(inbox);
        Assert.True(inbox.TryAdd("from a busy one", mayWork: false, out bool isTurn));
        Assert.False(isTurn);
        Assert.True(await busy.WaitAsync(Patience));
        Assert.True(inbox.TryTake(out _));
        Assert.True(inbox.TryEndTurn());

        Task<bool> next = Waiting(inbox);
        Assert.True(inbox.TryAdd("lent", mayWork: true, out isTurn));
        Assert.True(isTurn);
        inbox.LeaveTurn();
        Assert.True(await next.WaitAsync(Patience));
        Assert.True(inbox.TryTake(out string? item));
        Assert.Equal("lent", item);
    }

    [Fact]
    public async Task After_a_stop_the_thread_gets_the_last_turn_and_not_before_the_one_under_way_is_over()
    {
        ConsensusInbox<string> inbox = Idle();
        Assert.True(inbox.TryAdd("under way", mayWork: true, out bool isTurn));
        Assert.True(isTurn);
        Task<bool> last = Waiting(inbox);
        inbox.Stop();
        await Task.Delay(50);
        Assert.False(last.IsCompleted);
        Assert.True(inbox.TryAdd("late", mayWork: true, out isTurn));
        Assert.False(isTurn);
        Assert.True(inbox.TryEndTurn());
        Assert.False(await last.WaitAsync(Patience));
        inbox.Close();
        Assert.False(inbox.TryAdd("too late", mayWork: true, out isTurn));
        Assert.False(isTurn);
    }

    [Fact]
    public async Task There_is_never_more_than_one_at_work_and_nothing_is_left_behind()
    {
        const int Threads = 4, Each = 5000;
        ConsensusInbox<string> inbox = Idle();
        int working = 0, most = 0, done = 0;
        void Work()
        {
            do
            {
                most = Math.Max(most, Interlocked.Increment(ref working));
                while (inbox.TryTake(out _))
                {
                    done++;
                }

                Interlocked.Decrement(ref working);
            }
            while (!inbox.TryEndTurn());
        }

        var thread = new Thread(() =>
        {
            while (inbox.WaitForTurn())
            {
                Work();
            }
        });
        thread.Start();
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(t => Task.Factory.StartNew(
            () =>
            {
                for (int i = 0; i < Each; i++)
                {
                    inbox.TryAdd("x", mayWork: i % 3 != t, out bool isTurn);
                    if (isTurn)
                    {
                        Work();
                    }
                }
            },
            TaskCreationOptions.LongRunning)));
        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref done) == Threads * Each, Patience), $"{done} of {Threads * Each}");
        inbox.Stop();
        Assert.True(thread.Join(Patience));
        Assert.Equal(1, most);
    }

    private static ConsensusInbox<string> Idle()
    {
        var inbox = new ConsensusInbox<string>();
        Assert.True(inbox.TryEndTurn());
        return inbox;
    }

    private static Task<bool> Waiting(ConsensusInbox<string> inbox) => Task.Factory.StartNew(inbox.WaitForTurn, TaskCreationOptions.LongRunning);
}
